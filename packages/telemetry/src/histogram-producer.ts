import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram as HistogramValue,
  type HistogramMetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { HistogramCell, ReadableHistogram } from "./histogram.ts";

/** What a reader was told of a cell when it last asked. */
type Told = Pick<HistogramCell, "count" | "sum"> & { readonly counts: readonly number[]; readonly at: number };

/**
 * Hands histograms over to one metric reader as the SDK would its own. OpenTelemetry has no observable histogram, so this
 * stands beside the SDK's producer; the reader's resource is the SDK's.
 *
 * `DELTA` tells what came since the reader last asked, without the least and the greatest of it, which nobody keeps.
 */
export function createHistogramProducer(
  histograms: readonly ReadableHistogram[],
  temporality: AggregationTemporality,
): MetricProducer {
  const told = new Map<HistogramCell, Told>();
  return {
    collect() {
      // eslint-disable-next-line no-restricted-properties -- a moment, which exporters tell
      const now = Date.now();
      const metrics = histograms.flatMap((histogram): HistogramMetricData[] => {
        const { name, unit, description, boundaries } = histogram;
        const dataPoints = histogram.read().flatMap((cell) => toDataPoint(cell, boundaries, now) ?? []);
        if (dataPoints.length === 0) return [];
        const descriptor = { name, unit, description, valueType: ValueType.DOUBLE };
        return [
          { descriptor, aggregationTemporality: temporality, dataPointType: DataPointType.HISTOGRAM, dataPoints },
        ];
      });
      const scopeMetrics = metrics.length === 0 ? [] : [{ scope: { name: "penstock" }, metrics }];
      return Promise.resolve({ resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] });
    },
  };

  /** Undefined when there is nothing to tell: no value came since the reader last asked for what came since. */
  function toDataPoint(
    cell: HistogramCell,
    boundaries: readonly number[],
    now: number,
  ): DataPoint<HistogramValue> | undefined {
    const { labels, startedAt, counts, count, sum, min, max } = cell;
    const common = { attributes: labels, endTime: toHrTime(now) };
    if (temporality === AggregationTemporality.CUMULATIVE) {
      const buckets = { boundaries: [...boundaries], counts: [...counts] };
      return { ...common, startTime: toHrTime(startedAt), value: { buckets, count, sum, min, max } };
    }
    const before = told.get(cell);
    if (before?.count === count) return undefined;
    told.set(cell, { count, sum, counts: [...counts], at: now });
    const buckets = {
      boundaries: [...boundaries],
      counts: counts.map((each, bucket) => each - (before?.counts[bucket] ?? 0)),
    };
    const value = { buckets, count: count - (before?.count ?? 0), sum: sum - (before?.sum ?? 0) };
    return { ...common, startTime: toHrTime(before?.at ?? startedAt), value };
  }
}

function toHrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
