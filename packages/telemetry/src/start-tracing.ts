import type { Span } from "@opentelemetry/api";
import { IORedisInstrumentation } from "@opentelemetry/instrumentation-ioredis";
import { PgInstrumentation } from "@opentelemetry/instrumentation-pg";
import type { Resource } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { register, supportsSyncHooks } from "import-in-the-middle/register-hooks.mjs";
import type { Logger } from "./logger.ts";
import { createSampler } from "./sampler.ts";
import type { Environment } from "./telemetry-plan.ts";

/** A batch is linked to each of its events, and the SDK keeps 128 links of a span unless told otherwise. */
const LINKS = 1_000;

/**
 * Starts the SDK's tracing by the standard OTEL_* variables, and instruments pg and ioredis. To be called before either
 * is loaded: what is loaded already can no longer be wrapped. Returns what sends the last spans and stops it.
 *
 * HTTP and Express have no instrumentation here: it doubles what a request costs at any sampling rate, and says no more
 * than the span that ingest makes by itself (docs/decisions/0002-telemetry.md).
 */
export function startTracing(resource: Resource, env: Environment, log: Logger): () => Promise<void> {
  if (supportsSyncHooks()) register({ include: ["pg", "pg-pool", "ioredis"] });
  else log.warn({ node: process.version }, "this Node cannot trace SQL and Redis: it takes 24.11.1 or later");
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    sampler: createSampler(env),
    // Only within a trace: polls of an idle queue are nobody's.
    instrumentations: [
      new PgInstrumentation({ requireParentSpan: true, ignoreConnectSpans: true, requestHook: withoutMessage }),
      new IORedisInstrumentation({ requireParentSpan: true }),
    ],
    spanLimits: env["OTEL_SPAN_LINK_COUNT_LIMIT"] ? {} : { linkCountLimit: LINKS },
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return () => sdk.shutdown();
}

/** What Postgres says of a statement that failed can quote a value, which may be of a body: the status alone is told. */
function withoutMessage(span: Span): void {
  const setStatus = span.setStatus.bind(span);
  span.setStatus = ({ code }) => setStatus({ code });
}
