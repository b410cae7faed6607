import type { IncomingMessage, ServerResponse } from "node:http";
import { metrics } from "@opentelemetry/api";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { RuntimeNodeInstrumentation } from "@opentelemetry/instrumentation-runtime-node";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  AggregationType,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import { createHistogramProducer } from "./histogram-producer.ts";
import { counters, histograms } from "./instruments.ts";
import type { Environment } from "./telemetry-plan.ts";

/** The metrics of a process. */
export interface Metrics {
  /** Answers with all of them in the Prometheus text format. */
  respond(request: IncomingMessage, response: ServerResponse): void;
  /** Sends the last ones and stops. */
  stop(): Promise<void>;
}

/** Starts to keep metrics for `/metrics`, those of Node's runtime among them, and to send them by OTLP when asked to. */
export async function startMetrics(resource: Resource, env: Environment, send: boolean): Promise<Metrics> {
  const prometheus = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    metricProducers: [createHistogramProducer(histograms, AggregationTemporality.CUMULATIVE)],
  });
  const provider = new MeterProvider({
    resource,
    // Per statement, and pools are told by penstock.pool.connections whether SQL is traced or not.
    views: [{ meterName: "@opentelemetry/instrumentation-pg", aggregation: { type: AggregationType.DROP } }],
    readers: [prometheus, ...(send ? [await periodicReader(env)] : [])],
  });
  metrics.setGlobalMeterProvider(provider);
  observeCounters(provider);
  const runtime = new RuntimeNodeInstrumentation();
  runtime.setMeterProvider(provider);
  runtime.enable();
  return {
    respond: (request, response) => prometheus.getMetricsRequestHandler(request, response),
    stop: () => provider.shutdown(),
  };
}

/** Has the counters' numbers read when a reader asks for the metrics. */
function observeCounters(provider: MeterProvider): void {
  const meter = provider.getMeter("penstock");
  for (const { name, unit, description, read } of counters) {
    meter.createObservableCounter(name, { unit, description }).addCallback((result) => {
      for (const { labels, value } of read()) result.observe(value, labels);
    });
  }
}

async function periodicReader(env: Environment): Promise<PeriodicExportingMetricReader> {
  const exporter = await otlpExporter(env);
  const temporality =
    exporter.selectAggregationTemporality?.(InstrumentType.HISTOGRAM) ?? AggregationTemporality.CUMULATIVE;
  return new PeriodicExportingMetricReader({
    exporter,
    metricProducers: [createHistogramProducer(histograms, temporality)],
    ...toNumber("exportIntervalMillis", env["OTEL_METRIC_EXPORT_INTERVAL"]),
    ...toNumber("exportTimeoutMillis", env["OTEL_METRIC_EXPORT_TIMEOUT"]),
  });
}

async function otlpExporter(env: Environment): Promise<PushMetricExporter> {
  const protocol = env["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/protobuf";
  const { OTLPMetricExporter } =
    protocol === "grpc"
      ? await import("@opentelemetry/exporter-metrics-otlp-grpc")
      : protocol === "http/json"
        ? await import("@opentelemetry/exporter-metrics-otlp-http")
        : await import("@opentelemetry/exporter-metrics-otlp-proto");
  return new OTLPMetricExporter();
}

function toNumber<Name extends string>(name: Name, text: string | undefined): Partial<Record<Name, number>> {
  const value = Number(text);
  return (value > 0 ? { [name]: value } : {}) as Partial<Record<Name, number>>;
}
