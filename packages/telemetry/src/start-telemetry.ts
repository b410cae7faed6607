import { createLogger, type Logger, type LoggerOptions } from "./logger.ts";

/** The telemetry of one process: started before anything else, stopped last. */
export interface Telemetry {
  readonly log: Logger;
  /** Writes out what is still held back. */
  stop(): Promise<void>;
}

/** Starts logging for a process. Spans are made through the OpenTelemetry API and go where an SDK sends them. */
export function startTelemetry(options: LoggerOptions): Telemetry {
  const log = createLogger(options);
  return {
    log,
    stop: () => new Promise((resolve) => log.flush(() => resolve())),
  };
}
