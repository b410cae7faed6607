import type { Engine } from "@penstock/engine";
import type { EventQueue, QueueConsumer, QueuedBatches } from "@penstock/queue";
import { findUnqueuedBatches } from "@penstock/store";
import {
  activeSpan,
  instruments,
  type Logger,
  newTrace,
  onceInAWhile,
  type SpanOptions,
  withSpan,
} from "@penstock/telemetry";
import { summarizeError } from "../summarize-error.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

/** How long a batch may be pending before the sweep adds its job again. */
const SWEEP_AFTER_MS = 3_000;
const SWEEP_EVERY_MS = 2_000;
/** A batch that is pending for longer does not wait for its job: another worker gets the job of a vanished one in half of that. */
const STUCK_AFTER_MS = 60_000;
/** More batches are a backlog, which jobs work off from the oldest event on. */
const STUCK_AT_ONCE = 5;

/** Processes batches as their jobs come, and makes up for jobs that were lost. `wake` gets the subscribers of deliveries that wait. */
export function runBatches(
  context: ServiceContext,
  queue: EventQueue,
  concurrency: number,
  wake: (waiting: readonly string[]) => void,
): Service & { readonly consumer: QueueConsumer } {
  const { engine, store, log, closing } = context;
  const logQueueError = onceInAWhile();
  const process = (pointer: QueuedBatches): Promise<void> => processBatches(engine, log, pointer, wake, closing);
  const consumer = queue.consume(process, {
    concurrency,
    // Each connection reports each attempt to reconnect: a second of an outage would be fifty stack traces.
    onError: (error) =>
      logQueueError(() => log.warn(summarizeError(error), "the queue reported an error, its client goes on by itself")),
  });

  /** Adds jobs for batches that are still pending: the job was never added, or the queue lost it. */
  async function sweep(): Promise<void> {
    const batches = await findUnqueuedBatches(store, { olderThanMs: SWEEP_AFTER_MS });
    if (batches.length === 0) return;
    await withSpan("sweep", { parent: newTrace, attributes: { "penstock.batches": batches.length } }, () =>
      queue.add(batches.map((batch) => [batch])),
    );
    instruments.swept().add(batches.length);
    log.debug({ batches: batches.length }, "batches were pending for long, their jobs are there again");
  }

  /**
   * Runs a batch without its job where the queue still counts the job as that of a vanished worker. BullMQ on Postgres goes by the
   * clocks of hosts: where two clocks are an hour apart, that lasts an hour.
   */
  async function runStuck(): Promise<void> {
    const waiting = await findUnqueuedBatches(store, { olderThanMs: SWEEP_AFTER_MS, maxBatches: STUCK_AT_ONCE + 1 });
    if (waiting.length > STUCK_AT_ONCE) return;
    const batches = await findUnqueuedBatches(store, { olderThanMs: STUCK_AFTER_MS, maxBatches: 1 });
    if (batches.length === 0) return;
    log.warn({ batches }, "a batch is pending although its job should be done or taken up again, it is run without");
    await process({ batches, startedBefore: 1 });
  }

  const loops = [
    loop(context, SWEEP_EVERY_MS, "sweep", sweep),
    // A loop of its own, since it waits where another worker holds the batch.
    loop(context, SWEEP_EVERY_MS, "running a batch that is stuck", runStuck),
  ];
  return { consumer, done: Promise.all(loops) };
}

/** Processes batches until a claim was not cut short: they can hold more than one transaction takes, and there may be a backlog. */
async function processBatches(
  engine: Engine,
  log: Logger,
  { batches, startedBefore }: QueuedBatches,
  wake: (waiting: readonly string[]) => void,
  closing: AbortSignal,
): Promise<void> {
  const job = activeSpan();
  const attributes = { "penstock.batch": batches[0] ?? 0 };
  let span: SpanOptions = { attributes };
  for (let pointer = { batches, startedBefore }; ; pointer = { batches, startedBefore: 0 }) {
    const startedAt = performance.now();
    const { more, waiting, ...report } = await withSpan("process batch", span, async (current) => {
      const done = await engine.processBatch(pointer);
      current.setAttribute("messaging.batch.message_count", done.events);
      return done;
    }).catch((error: unknown) => {
      // Logged here: the queue drops a failed job silently.
      log.warn({ batches, err: error }, "batches were not processed, what is pending is taken up again");
      throw error;
    });
    wake(waiting);
    // A backlog can be a million events: one trace of all its transactions would be too large.
    span = { attributes, parent: newTrace, links: [job?.spanContext() ?? null] };
    if (report.batches === 0) return;
    instruments.batchEvents().record(report.events, { stage: "process" });
    if (report.quarantined > 0) instruments.quarantined().add(report.quarantined);
    const durationMs = Math.round(performance.now() - startedAt);
    log.info({ ...report, durationMs }, "batches processed");
    if (report.duplicates > 0) instruments.duplicates().add(report.duplicates);
    if (!more || closing.aborted) return;
  }
}
