import { createCells, type Given, type Labels } from "./cells.ts";

/** What a metric is called, in OTLP and thus in Prometheus. */
export interface MetricOptions<Label extends string> {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly labels?: readonly Label[];
}

/** A counter as whatever exports it sees it. */
export interface ReadableCounter extends Omit<MetricOptions<string>, "labels"> {
  /** One number for each combination of label values that has occurred. */
  read(): readonly { readonly labels: Labels<string>; readonly value: number }[];
}

/** Numbers that only grow, one for each combination of label values. Adding makes no call into OpenTelemetry. */
export interface Counter<Label extends string> extends ReadableCounter {
  add(count: number, ...labels: Given<Label>): void;
}

export function createCounter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label> {
  const { labels: names = [], ...described } = options;
  const cells = createCells(names, (labels) => ({ labels, value: 0 }));
  return {
    ...described,
    add(count, labels?) {
      cells.of(labels).value += count;
    },
    read: () => cells.all,
  };
}
