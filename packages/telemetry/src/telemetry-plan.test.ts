import { expect, test } from "vitest";
import { planTelemetry } from "./telemetry-plan.ts";

const ENDPOINT = "http://127.0.0.1:4318";

test.each([
  ["nothing is set: metrics are kept and nothing is sent", {}, [false, true, false]],
  ["an endpoint is named", { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }, [true, true, true]],
  ["an endpoint is named for traces alone", { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ENDPOINT }, [true, true, false]],
  ["an endpoint is named for metrics alone", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: ENDPOINT }, [false, true, true]],
  ["an exporter is named", { OTEL_TRACES_EXPORTER: "console" }, [true, true, false]],
  ["an exporter is none", { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_TRACES_EXPORTER: "none" }, [false, true, true]],
  ["metrics go to Prometheus alone", { OTEL_METRICS_EXPORTER: "prometheus" }, [false, true, false]],
  ["several exporters are named", { OTEL_METRICS_EXPORTER: "prometheus, otlp" }, [false, true, true]],
  ["a variable is set to nothing", { OTEL_EXPORTER_OTLP_ENDPOINT: "", OTEL_TRACES_EXPORTER: "" }, [false, true, false]],
  ["all is off", { OTEL_SDK_DISABLED: "TRUE", OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }, [false, false, false]],
] as const)("%s", (_, env, [traces, metrics, sendMetrics]) => {
  expect(planTelemetry(env)).toEqual({ traces, metrics, sendMetrics });
});
