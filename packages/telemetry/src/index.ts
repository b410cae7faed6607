export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
export { eventAttributes } from "./event-attributes.ts";
export { failStart } from "./fail-start.ts";
export { instruments } from "./instruments.ts";
export { startInternalServer, type InternalServer } from "./internal-server.ts";
export { onceInAWhile } from "./once-in-a-while.ts";
export { createReadiness, type HealthCheck, type Readiness, toHttpStatus } from "./readiness.ts";
export {
  activeSpan,
  addLink,
  type Context,
  contextOf,
  detached,
  inSpan,
  isSampledIn,
  markFailed,
  newTrace,
  noTrace,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  startSpan,
  withSpan,
} from "./span.ts";
export { startTelemetry, type Telemetry } from "./start-telemetry.ts";
export { stopOnSignal } from "./stop-on-signal.ts";
export { isTracing } from "./tracing-state.ts";
export {
  contextFromHeaders,
  isTraceparent,
  receivedTraceparent,
  toContext,
  toSpanContext,
  toTraceparent,
  unsampledTrace,
} from "./trace-context.ts";
