import { EVENTS_QUEUE } from "@penstock/schemas";
import { detached } from "@penstock/telemetry";
import { type ConnectionOptions, Queue } from "bullmq";
import type { ProducerConnection, QueueBackend } from "./create-queue.ts";
import { queueTelemetry } from "./queue-telemetry.ts";
import { NoAnswerError, within } from "./within.ts";

/** Something that is asked of the backend. */
export type Question<T> = (queue: Queue, connection: ProducerConnection) => Promise<T>;

/** The side of the queue that adds jobs. */
export interface Producer {
  /** Has a question answered. Fails at once when the backend is away, and after `timeoutMs` when it stays silent. */
  ask<T>(question: Question<T>, timeoutMs: number): Promise<T>;
  close(): Promise<void>;
}

interface Opened {
  readonly connection: ProducerConnection;
  /** Undefined until something is asked of it. */
  queue: Promise<Queue> | undefined;
  /** Whether the queue has reached the backend. */
  isReady: boolean;
}

const CLOSE_MS = 1_000;

/**
 * Keeps one connection and the BullMQ queue on it, and replaces both where they are of no more use: BullMQ remembers for
 * ever that it could not connect at first, and a connection that fell silent can stay so for a quarter of an hour.
 */
export function createProducer(backend: QueueBackend): Producer {
  // A connection outlives whoever asked first: its reconnects must not stand in that one's trace for ever.
  const openAnew = (): Opened =>
    detached(() => ({ connection: backend.connectProducer(), queue: undefined, isReady: false }));
  let current: Opened | undefined = openAnew();
  let closed = false;

  return {
    async ask(question, timeoutMs) {
      if (closed) throw new Error("it was closed");
      const opened = (current ??= openAnew());
      try {
        return await within(timeoutMs, answer());
      } catch (error) {
        const refusal = opened.connection.refusal();
        if (!opened.isReady || error instanceof NoAnswerError) replace(opened);
        throw refusal ?? error;
      }

      async function answer(): ReturnType<typeof question> {
        const queue = await queueOf(opened);
        // Between two attempts to connect a command fails at once; during one it is worth the wait.
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
      opened.queue.catch(() => undefined); // told to whoever asks
    }
    return opened.queue;
  }

  function replace(opened: Opened): void {
    if (current !== opened) return;
    current = undefined;
    void shut(opened);
  }
}

async function openQueue(backend: QueueBackend, opened: Opened): Promise<Queue> {
  const { connection } = opened;
  await connection.settled();
  const queue = new Queue(
    EVENTS_QUEUE,
    {
      ...(backend.prefix === undefined ? {} : { prefix: backend.prefix }),
      connection: connection.connection as ConnectionOptions,
      skipWaitingForReady: true,
      streams: { events: { maxLen: 100 } },
      // BullMQ asks for the version once, at once, and where that fails every later add does, too.
      skipVersionCheck: true,
      ...queueTelemetry(),
    },
    ...(backend.factory as readonly []),
  );
  // Without a listener an error of the connection would end the process.
  queue.on("error", () => undefined);
  await queue.waitUntilReady();
  opened.isReady = true;
  return queue;
}

async function shut({ queue, connection }: Opened): Promise<void> {
  if (queue !== undefined) {
    await within(
      CLOSE_MS,
      queue.then((one) => one.close()),
    ).catch(() => undefined);
  }
  await connection.cut();
}
