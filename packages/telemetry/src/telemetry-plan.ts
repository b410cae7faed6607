/** The environment as `process.env` gives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the standard OTEL_* variables ask for. */
export interface TelemetryPlan {
  /** Whether spans are made and sent. */
  readonly traces: boolean;
  /** Whether metrics are kept at all, for `/metrics` at least. */
  readonly metrics: boolean;
  /** Whether metrics are also sent by OTLP. */
  readonly sendMetrics: boolean;
}

/**
 * Reads whether telemetry is wanted. Unlike the SDK, which sends to localhost unless told otherwise, nothing is sent
 * before an endpoint or an exporter is named: by far the most installs have no collector at first.
 */
export function planTelemetry(env: Environment): TelemetryPlan {
  const disabled = env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true";
  const wants = (signal: "TRACES" | "METRICS"): boolean => {
    const exporter = env[`OTEL_${signal}_EXPORTER`]?.trim();
    if (exporter) return exporter !== "none";
    return Boolean(env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]);
  };
  return { traces: !disabled && wants("TRACES"), metrics: !disabled, sendMetrics: !disabled && wants("METRICS") };
}
