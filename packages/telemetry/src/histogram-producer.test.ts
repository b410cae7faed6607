import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import {
  AggregationTemporality,
  type CollectionResult,
  type HistogramMetricData,
  MeterProvider,
  MetricReader,
} from "@opentelemetry/sdk-metrics";
import { expect, onTestFinished, test } from "vitest";
import { createHistogram } from "./histogram.ts";
import { createHistogramProducer } from "./histogram-producer.ts";

const OPTIONS = { name: "penstock.test", unit: "s", description: "A test" };
const BOUNDARIES = [0.001, 0.0025, 0.5, 1];
/** On and beside each boundary, 0, beyond all of them, and what is no value of a histogram. */
const VALUES = [0, 0.0005, 0.001, 0.0011, 0.0025, 0.3, 0.5, 0.50001, 1, 1.5, 300, Number.NaN, -1];

class Reader extends MetricReader {
  protected onShutdown = (): Promise<void> => Promise.resolve();
  protected onForceFlush = (): Promise<void> => Promise.resolve();
}

/** The same histogram twice: ours, and the one that OpenTelemetry's own instrument makes of the same values. */
function twice() {
  const ours = createHistogram({ ...OPTIONS, labels: ["handler", "outcome"], boundaries: BOUNDARIES });
  const record: ((value: number, labels: { handler: string; outcome: string }) => void)[] = [ours.record];
  return {
    ours,
    record: (value: number, labels: { handler: string; outcome: string }) => record.forEach((to) => to(value, labels)),
    /** Readers of one kind: of ours, and of the SDK's. */
    readers<T extends MetricReader>(
      make: (producers: ReturnType<typeof createHistogramProducer>[]) => T,
      own: AggregationTemporality,
    ): [T, T] {
      const readers: [T, T] = [make([createHistogramProducer([ours], own)]), make([])];
      readers.forEach((reader, at) => {
        const provider = new MeterProvider({ readers: [reader] });
        onTestFinished(() => provider.shutdown());
        const { name, ...rest } = OPTIONS;
        const advice = { explicitBucketBoundaries: BOUNDARIES };
        if (at === 0) return;
        const theirs = provider.getMeter("penstock").createHistogram(name, { ...rest, advice });
        record.push((value, labels) => theirs.record(value, labels));
      });
      return readers;
    },
  };
}

/** What a collector hears of the values, all but the times. */
function toldIn({ resourceMetrics }: CollectionResult): unknown {
  return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.map((metric) => {
      const { descriptor, dataPoints, aggregationTemporality, dataPointType } = metric as HistogramMetricData;
      const { name, unit, description, valueType } = descriptor;
      return {
        scope: scope.name,
        descriptor: { name, unit, description, valueType },
        aggregationTemporality,
        dataPointType,
        points: dataPoints.map(({ attributes, value: { buckets, sum = Number.NaN, count } }) => ({
          attributes,
          buckets,
          sum: sum.toFixed(9),
          count,
        })),
      };
    }),
  );
}

test.each(["CUMULATIVE", "DELTA"] as const)(
  "a collector is told what OpenTelemetry's own histogram tells: %s",
  async (kind) => {
    const temporality = AggregationTemporality[kind];
    const { record, readers } = twice();
    const [ours, theirs] = readers(
      (metricProducers) => new Reader({ metricProducers, aggregationTemporalitySelector: () => temporality }),
      temporality,
    );
    const tell = async (): Promise<unknown> => {
      const [mine, expected] = (await Promise.all([ours.collect(), theirs.collect()])).map(toldIn);
      expect(mine).toEqual(expected);
      return mine;
    };
    expect(await tell()).toEqual([]);
    for (const value of VALUES) record(value, { handler: "a", outcome: "failed" });
    record(0.002, { handler: "b", outcome: "succeeded" });
    await tell();
    record(0.7, { handler: "a", outcome: "failed" });
    await tell();
    const nothingNew = (await tell()) as object[];
    expect(nothingNew).toHaveLength(kind === "DELTA" ? 0 : 1);
  },
);

test("the least and the greatest value since the start are told", async () => {
  const { record, readers } = twice();
  const [ours, theirs] = readers(
    (metricProducers) => new Reader({ metricProducers }),
    AggregationTemporality.CUMULATIVE,
  );
  for (const value of VALUES) record(value, { handler: "a", outcome: "failed" });
  const [mine, expected] = (await Promise.all([ours.collect(), theirs.collect()])).map(
    ({ resourceMetrics }) => resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints[0]?.value,
  );
  expect(mine).toEqual(expected);
  expect(mine).toMatchObject({ min: 0, max: 300, count: 11 });
});

test("a scrape reads the same to the letter", async () => {
  const { record, readers } = twice();
  const exporters = readers(
    (metricProducers) =>
      new PrometheusExporter({
        preventServerStart: true,
        withoutScopeInfo: true,
        withoutTargetInfo: true,
        metricProducers,
      }),
    AggregationTemporality.CUMULATIVE,
  );
  for (const value of VALUES) record(value, { handler: "a", outcome: "failed" });
  record(0.002, { handler: "b", outcome: "succeeded" });
  const scrape = (exporter: PrometheusExporter): Promise<string> =>
    new Promise((resolve) => {
      const response = { setHeader: () => undefined, end: resolve, statusCode: 0 };
      exporter.getMetricsRequestHandler({} as never, response as never);
    });
  const [ours, theirs] = await Promise.all(exporters.map(scrape));
  expect(ours).toContain('penstock_test_bucket{handler="a",outcome="failed",le="0.001"} 3');
  expect(ours).toBe(theirs);
});
