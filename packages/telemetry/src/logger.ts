import { type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import { activeSpan } from "./span.ts";

/** A pino logger: the object first, a constant message second. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Stands in every line as `service`, e.g. `ingest`. */
  readonly service: string;
  /** trace, debug, info, warn, error, fatal or silent. */
  readonly level: string;
  /** Where lines go; standard output unless given. */
  readonly destination?: { write(line: string): void };
}

/**
 * Makes the logger of a process: one JSON object per line, with the ids of the trace when there is one. Bodies, headers
 * and secrets are taken out at the top of a line, most of them one level down, too; no deeper, so never log an event.
 * Of an error only name, code, message and stack are kept: Postgres puts the values of a row into `detail`.
 */
export function createLogger({ service, level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: traceIds,
    serializers: { err: serializeError },
    redact: {
      paths: [
        "body",
        "payload",
        "data",
        "headers",
        "secret",
        "secrets",
        "*.body",
        "*.payload",
        "*.headers",
        "*.secret",
      ],
      censor: "[redacted]",
    },
  };
  return destination ? pino(options, destination) : pino(options);
}

function traceIds(): object {
  const context = activeSpan()?.spanContext();
  return context ? { traceId: context.traceId, spanId: context.spanId } : {};
}

function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  return { type: name, message, ...code, stack, ...(cause instanceof Error ? { cause: serializeError(cause) } : {}) };
}
