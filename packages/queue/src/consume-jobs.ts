import { setTimeout as delay } from "node:timers/promises";
import { EVENTS_QUEUE, isStorableText, toStorableText, wallClockMs } from "@penstock/schemas";
import { instruments } from "@penstock/telemetry";
import { type ConnectionOptions, type Job, Worker } from "bullmq";
import type { QueueBackend, QueueConnection } from "./create-queue.ts";
import type { ConsumeOptions, QueueConsumer } from "./event-queue.ts";
import { queueTelemetry } from "./queue-telemetry.ts";
import { toUnavailable } from "./to-unavailable.ts";
import { withTimeout } from "./with-timeout.ts";

const RETRY_MS = 1_000;

/** A job as a consumer gets it. */
export interface QueuedJob {
  readonly data: unknown;
  /** How often a consumer has started this job and vanished. */
  readonly startedBefore: number;
}

interface JobsOptions extends ConsumeOptions {
  readonly lockMs: number;
  readonly stalledCheckMs: number;
}

/** Runs `process` for each job, from when the backend first answers until it is closed. */
export function consumeJobs(
  backend: QueueBackend,
  process: (job: QueuedJob) => Promise<void>,
  options: JobsOptions,
): QueueConsumer {
  const { concurrency, onError, lockMs, stalledCheckMs } = options;
  const closing = new AbortController();
  let opened: { readonly worker: Worker; readonly connection: QueueConnection; running: boolean } | undefined;
  const report = (error: unknown): void => {
    if (!closing.signal.aborted) onError?.(toUnavailable(backend, error));
  };

  async function start(): Promise<void> {
    while (!closing.signal.aborted) {
      const connection = backend.connectConsumer(concurrency);
      const worker = openWorker(connection);
      opened = { worker, connection, running: false };
      try {
        await worker.waitUntilReady();
        if (closing.signal.aborted) return;
        opened.running = true;
        worker.run().catch(report);
        return;
      } catch (error) {
        // A BullMQ worker that failed to connect at first never recovers: a new worker for a new attempt.
        report(error);
        worker.close(true).catch(() => undefined);
        await connection.disconnect();
        await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  function openWorker({ connection }: QueueConnection): Worker {
    const worker = new Worker(
      EVENTS_QUEUE,
      async (job: Job) => {
        const startedBefore = Math.max(job.attemptsStarted - 1, job.stalledCounter);
        // The host that added the job set its time. Where the clock of that host is ahead of ours, the lag counts as 0.
        const waitedSeconds = Math.max(0, wallClockMs() - job.timestamp) / 1_000;
        if (startedBefore === 0) instruments.queueLag().record(waitedSeconds, { queue: EVENTS_QUEUE });
        await process({ data: job.data, startedBefore }).catch(failStorably);
      },
      {
        ...(backend.prefix === undefined ? {} : { prefix: backend.prefix }),
        connection: connection as ConnectionOptions,
        autorun: false,
        concurrency,
        lockDuration: lockMs,
        stalledInterval: stalledCheckMs,
        // By default BullMQ drops a job whose consumers vanished twice. Added again by the sweep, the job would count as one that
        // nobody has started.
        maxStalledCount: 1_000_000,
        // 15 seconds by default: a finished job would have lost its lock by then, and would run again.
        runRetryDelay: RETRY_MS,
        ...queueTelemetry(),
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
      ...(backend.factory as readonly []),
    );
    // Without a listener an error of the connection ends the process.
    worker.on("error", report);
    return worker;
  }

  start().catch(report);

  return {
    async close(timeoutMs) {
      closing.abort();
      if (opened === undefined) return;
      const { worker, connection, running } = opened;
      const closed = worker.close(!running);
      if (running) await withTimeout(timeoutMs, closed).catch(() => undefined);
      else closed.catch(() => undefined);
      // Jobs that did not end in time lose their locks, and go to another consumer.
      await connection.disconnect();
    },
  };
}

/** BullMQ on Postgres stores message and stack as text: a job whose error is no storable text would never fail. */
function failStorably(error: unknown): never {
  if (!(error instanceof Error)) throw error;
  if (isStorableText(`${error.message}${error.stack}`)) throw error;
  throw new Error(toStorableText(error.message), { cause: error });
}
