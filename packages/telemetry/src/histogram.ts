import { createCells, type Given, type Labels } from "./cells.ts";
import type { MetricOptions } from "./counter.ts";

/** What has been recorded under one combination of label values since the process started. */
export interface HistogramCell {
  readonly labels: Labels<string>;
  /** When the first value came, in milliseconds since 1970. */
  readonly startedAt: number;
  /** How many values lie up to each boundary and above the one before; the last are those above all boundaries. */
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

/** A histogram as whatever exports it sees it. */
export interface ReadableHistogram extends Omit<MetricOptions<string>, "labels"> {
  readonly boundaries: readonly number[];
  /** One cell for each combination of label values that has occurred. */
  read(): readonly HistogramCell[];
}

/** Values counted in buckets. Recording makes no call into OpenTelemetry. */
export interface Histogram<Label extends string> extends ReadableHistogram {
  record(value: number, ...labels: Given<Label>): void;
}

/** `boundaries`: the upper ends of the buckets, in order; each belongs to its own bucket. */
export function createHistogram<Label extends string = never>(
  options: MetricOptions<Label> & { readonly boundaries: readonly number[] },
): Histogram<Label> {
  const { labels: names = [], ...described } = options;
  const { boundaries } = options;
  const cells = createCells(names, (labels): HistogramCell => {
    const counts = Array.from({ length: boundaries.length + 1 }, () => 0);
    // eslint-disable-next-line no-restricted-properties -- a moment, which exporters tell
    return { labels, startedAt: Date.now(), counts, count: 0, sum: 0, min: Infinity, max: -Infinity };
  });
  return {
    ...described,
    record(value, labels?) {
      // A clock that was set back can make a duration negative: as with OpenTelemetry's own, it is left out.
      if (!(value >= 0)) return;
      const cell = cells.of(labels);
      let bucket = 0;
      while (bucket < boundaries.length && value > (boundaries[bucket] ?? Infinity)) bucket++;
      cell.counts[bucket] = (cell.counts[bucket] ?? 0) + 1;
      cell.count++;
      cell.sum += value;
      if (value < cell.min) cell.min = value;
      if (value > cell.max) cell.max = value;
    },
    read: () => cells.all,
  };
}
