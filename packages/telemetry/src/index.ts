export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
export { withSpan } from "./span.ts";
export { startTelemetry, type Telemetry } from "./start-telemetry.ts";
export { stopOnSignal } from "./stop-on-signal.ts";
export { failStart } from "./fail-start.ts";
