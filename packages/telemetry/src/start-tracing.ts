import { diag, DiagLogLevel } from "@opentelemetry/api";
import { IORedisInstrumentation } from "@opentelemetry/instrumentation-ioredis";
import { PgInstrumentation } from "@opentelemetry/instrumentation-pg";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { register, supportsSyncHooks } from "import-in-the-middle/register-hooks.mjs";
import type { Logger } from "./logger.ts";
import type { Environment } from "./telemetry-plan.ts";
import { onceInAWhile } from "./once-in-a-while.ts";

/** A batch is linked to each of its events, and the SDK keeps 128 links of a span unless told otherwise. */
const LINKS = 1_000;

/**
 * Starts the SDK's tracing by the standard OTEL_* variables, and instruments pg and ioredis. To be called before either
 * is loaded: what is loaded already can no longer be wrapped. Returns what sends the last spans and stops it.
 *
 * HTTP and Express have no instrumentation here: it doubles what a request costs at any sampling rate, and says no more
 * than the span that ingest makes by itself (docs/decisions/0002-telemetry.md).
 */
export function startTracing(serviceName: string, env: Environment, log: Logger): () => Promise<void> {
  if (supportsSyncHooks()) register({ include: ["pg", "pg-pool", "ioredis"] });
  else log.warn({ node: process.version }, "this Node cannot trace SQL and Redis: it takes 24.11.1 or later");
  if (env["OTEL_LOG_LEVEL"] === undefined) reportTo(log);
  const sdk = new NodeSDK({
    // The variable goes before the name given here, which the SDK has the other way round.
    ...(env["OTEL_SERVICE_NAME"] ? {} : { serviceName }),
    // Only within a trace: polls of an idle queue are nobody's.
    instrumentations: [
      new PgInstrumentation({ requireParentSpan: true, ignoreConnectSpans: true }),
      new IORedisInstrumentation({ requireParentSpan: true }),
    ],
    spanLimits: env["OTEL_SPAN_LINK_COUNT_LIMIT"] ? {} : { linkCountLimit: LINKS },
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return () => sdk.shutdown();
}

/** Has what the SDK complains of, e.g. a collector that is away, stand in our log and not be swallowed. */
function reportTo(log: Logger): void {
  const sayOnce = onceInAWhile();
  const report = (message: string, ...details: unknown[]): void => {
    sayOnce(() =>
      log.warn({ details: [message, ...details].map(String) }, "telemetry is in trouble, all else goes on"),
    );
  };
  const nothing = (): void => undefined;
  diag.setLogger(
    { error: report, warn: report, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
