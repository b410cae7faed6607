import { type Meter, metrics, type ObservableGauge } from "@opentelemetry/api";
import { type Counter, createCounter, type MetricOptions, type ReadableCounter } from "./counter.ts";
import { createHistogram, type Histogram, type ReadableHistogram } from "./histogram.ts";

/** All counters and histograms, for whatever exports them. */
export const counters: ReadableCounter[] = [];
export const histograms: ReadableHistogram[] = [];

/**
 * Every metric of Penstock's own, by what it counts; docs/metrics.md says what each means, and a test compares the two.
 *
 * Counters and histograms are plain numbers, which are read when somebody asks for the metrics: an event costs an addition
 * for each. A gauge is made at its first use: one that is made before the process has started its metrics tells nothing,
 * ever. Values of labels are bounded: sources, handlers and types that are known, states, reasons.
 */
export const instruments = {
  /** Seconds from a request's arrival to its 200. */
  acknowledgement: histogram({
    name: "penstock.acknowledgement.duration",
    unit: "s",
    description: "Time from the arrival of a request to its acknowledgement",
    boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  }),
  /** By source and type. */
  accepted: counter({
    name: "penstock.events.accepted",
    unit: "{event}",
    description: "Events acknowledged",
    labels: ["source", "type"],
  }),
  /** By workers. */
  duplicates: counter({
    name: "penstock.events.duplicates",
    unit: "{event}",
    description: "Acknowledged events that a worker found to be copies of others",
  }),
  /** By workers: unknown types and shapes, and what ingest could not read or vouch for. */
  quarantined: counter({
    name: "penstock.events.quarantined",
    unit: "{event}",
    description: "Events that a worker put into quarantine",
  }),
  /** By source and reason. */
  refused: counter({
    name: "penstock.requests.refused",
    unit: "{request}",
    description: "Requests not acknowledged, by reason",
    labels: ["source", "reason"],
  }),
  /** By outcome: kept (on disk), lost (neither on disk nor in Postgres), imported. */
  refusedEvents: counter({
    name: "penstock.refused_files.events",
    unit: "{event}",
    description: "Signed events that were answered with 503, and what became of them",
    labels: ["outcome"],
  }),
  refusedFiles: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.refused_files.count", {
      unit: "{file}",
      description: "Files of events that were answered with 503 and wait for Postgres",
    }),
  ),
  refusedBytes: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.refused_files.bytes", {
      unit: "By",
      description: "What the files take that wait for Postgres",
    }),
  ),
  refusedAge: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.refused_files.oldest_age", {
      unit: "s",
      description: "Age of the oldest file that waits for Postgres; 0 when there is none",
    }),
  ),
  /** By stage: accept, process. */
  batchEvents: histogram({
    name: "penstock.batch.events",
    unit: "{event}",
    description: "Events that shared a transaction",
    labels: ["stage"],
    boundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500],
  }),
  /** By handler and outcome: succeeded, failed, timed-out, interrupted. */
  handlerDuration: histogram({
    name: "penstock.handler.duration",
    unit: "s",
    description: "Time of one call of a handler, for an event or, with handleBatch, for several",
    labels: ["handler", "outcome"],
    boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  }),
  /** By outcome: succeeded, failed, timed-out. Not by endpoint: there can be thousands. */
  outboundDuration: histogram({
    name: "penstock.outbound.duration",
    unit: "s",
    description: "Time of one request to an endpoint, connection and answer included",
    labels: ["outcome"],
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  }),
  /** Seconds a job waited in the queue of batches, `events`. */
  queueLag: histogram({
    name: "penstock.queue.lag",
    unit: "s",
    description: "Time from the adding of a job to its start",
    labels: ["queue"],
    boundaries: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  }),
  swept: counter({
    name: "penstock.sweep.batches",
    unit: "{batch}",
    description: "Batches whose job the sweep added again because events of theirs were pending for long",
  }),
  pendingEvents: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.pending.events", {
      unit: "{event}",
      description: "Events accepted and not yet processed",
    }),
  ),
  pendingAge: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.pending.oldest_age", {
      unit: "s",
      description: "Age of the oldest event that is accepted and not yet processed; 0 when there is none",
    }),
  ),
  /** By handler, all endpoints as one, and state: pending, running, retrying, dead. */
  deliveries: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.deliveries", {
      unit: "{delivery}",
      description: "Deliveries that have not succeeded, by state",
    }),
  ),
  /** By source. */
  sourceSilent: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.source.silent", {
      unit: "1",
      description: "1 where a source has sent nothing for longer than usual, else 0",
    }),
  ),
  /** By source. */
  sourceQuiet: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.source.quiet", {
      unit: "s",
      description: "Time since a source last had an event",
    }),
  ),
  /** By table and, where it is stored by day, the day of receipt. */
  storageBytes: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.storage.bytes", {
      unit: "By",
      description: "What Penstock's tables take, with their indexes",
    }),
  ),
  daysUntilFull: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.storage.days_until_full", {
      unit: "d",
      description: "Days until RETENTION_BYTES is reached, if each day is as the last ones",
    }),
  ),
  /** By state: verified, damaged, waiting. Nothing where archiving is off. */
  archiveDays: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.archive.days", {
      unit: "{day}",
      description: "Days by the state of their archive",
    }),
  ),
  /** By pool and state: used, idle, waiting. */
  poolConnections: lazily<ObservableGauge>((meter) =>
    meter.createObservableGauge("penstock.pool.connections", {
      unit: "{connection}",
      description: "Connections to Postgres by pool and state, and requests that wait for one",
    }),
  ),
};

function counter<Label extends string = never>(options: MetricOptions<Label>): () => Counter<Label> {
  const made = createCounter(options);
  counters.push(made);
  return () => made;
}

function histogram<Label extends string = never>(
  options: Parameters<typeof createHistogram<Label>>[0],
): () => Histogram<Label> {
  const made = createHistogram(options);
  histograms.push(made);
  return () => made;
}

function lazily<T>(make: (meter: Meter) => T): () => T {
  let made: T | undefined;
  return () => (made ??= make(metrics.getMeter("penstock")));
}
