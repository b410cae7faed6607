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
  const wants = (signal: "TRACES" | "METRICS", known: readonly string[]): boolean => {
    const exporters = env[`OTEL_${signal}_EXPORTER`]?.split(",").map((name) => name.trim());
    if (exporters?.some((name) => name !== "")) return exporters.some((name) => known.includes(name));
    return Boolean(env["OTEL_EXPORTER_OTLP_ENDPOINT"] || env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]);
  };
  return {
    traces: !disabled && wants("TRACES", ["otlp", "console"]),
    metrics: !disabled,
    // Those for Prometheus are served on the internal port whatever this variable says.
    sendMetrics: !disabled && wants("METRICS", ["otlp"]),
  };
}
