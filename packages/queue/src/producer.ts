import { EVENTS_QUEUE } from "@penstock/schemas";
import { detached } from "@penstock/telemetry";
import { type ConnectionOptions, Queue, type QueueOptions } from "bullmq";
import type { ProducerConnection, QueueBackend } from "./create-queue.ts";
import { queueTelemetry } from "./queue-telemetry.ts";
import { NoAnswerError, withTimeout } from "./with-timeout.ts";

/** A request to the backend. */
export type Question<T> = (queue: Queue, connection: ProducerConnection) => Promise<T>;

/** The side of the queue that adds jobs. */
export interface Producer {
  /** Runs a request. Fails at once when the backend is away, and after `timeoutMs` when it gives no answer. */
  ask<T>(question: Question<T>, timeoutMs: number): Promise<T>;
  close(): Promise<void>;
}

interface Opened {
  readonly connection: ProducerConnection;
  /** Undefined until the first request. */
  queue: Promise<Queue> | undefined;
  /** Whether the queue has reached the backend. */
  isReady: boolean;
}

const CLOSE_MS = 1_000;

/**
 * Keeps one connection and the BullMQ queue on it, and replaces both once they are of no use: a BullMQ queue that failed to
 * connect at first never recovers, and a half-open connection can stay silent for a quarter of an hour.
 */
export function createProducer(backend: QueueBackend): Producer {
  // Outside of any trace: a connection outlives the first request, and its reconnects must not appear in that trace.
  const open = (): Opened =>
    detached(() => ({ connection: backend.connectProducer(), queue: undefined, isReady: false }));
  let current: Opened | undefined = open();
  let closed = false;

  return {
    async ask(question, timeoutMs) {
      if (closed) throw new Error("it was closed");
      const opened = (current ??= open());
      try {
        return await withTimeout(timeoutMs, answer());
      } catch (error) {
        const refusal = opened.connection.refusal();
        if (!opened.isReady || error instanceof NoAnswerError) replace(opened);
        throw refusal ?? error;
      }

      async function answer(): ReturnType<typeof question> {
        const queue = await queueOf(opened);
        // A command fails at once between two attempts to connect, and waits during one.
        await opened.connection.settled();
        return question(queue, opened.connection);
      }
    },
    async close() {
      closed = true;
      if (current !== undefined) await shut(current);
    },
  };

  function queueOf(opened: Opened): Promise<Queue> {
    if (opened.queue === undefined) {
      opened.queue = detached(() => openQueue(backend, opened));
      opened.queue.catch(() => undefined); // each request rejects with it
    }
    return opened.queue;
  }

  function replace(opened: Opened): void {
    if (current !== opened) return;
    current = undefined;
    void shut(opened);
  }
}

/** BullMQ's queue of batches on a connection. It may not have reached the backend yet. */
export function createBullQueue(
  backend: QueueBackend,
  { connection }: ProducerConnection,
  options: Partial<QueueOptions> = {},
): Queue {
  const queue = new Queue(
    EVENTS_QUEUE,
    {
      ...(backend.prefix === undefined ? {} : { prefix: backend.prefix }),
      connection: connection as ConnectionOptions,
      skipWaitingForReady: true,
      // BullMQ asks for the version once. Where that fails, every later add fails, too.
      skipVersionCheck: true,
      ...options,
    },
    ...(backend.factory as readonly []),
  );
  // Without a listener an error of the connection ends the process.
  queue.on("error", () => undefined);
  return queue;
}

async function openQueue(backend: QueueBackend, opened: Opened): Promise<Queue> {
  const { connection } = opened;
  await connection.settled();
  const queue = createBullQueue(backend, connection, { streams: { events: { maxLen: 100 } }, ...queueTelemetry() });
  await queue.waitUntilReady();
  opened.isReady = true;
  return queue;
}

async function shut({ queue, connection }: Opened): Promise<void> {
  if (queue !== undefined) {
    await withTimeout(
      CLOSE_MS,
      queue.then((one) => one.close()),
    ).catch(() => undefined);
  }
  await connection.disconnect();
}
