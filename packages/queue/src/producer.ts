import { EVENTS_QUEUE } from "@penstock/schemas";
import { detached } from "@penstock/telemetry";
import { type ConnectionOptions, Queue } from "bullmq";
import type { ProducerConnection, QueueBackend } from "./create-queue.ts";
import { queueTelemetry } from "./queue-telemetry.ts";
import { NoAnswerError, within } from "./within.ts";

/** Something that is asked of the backend. */
export type Question<T> = (queue: Queue, connection: ProducerConnection) => Promise<T>;

/** The side of queues that adds jobs. */
export interface Producer {
  /**
   * Has a question answered by the queue of a name. Fails at once when the backend is away, and after `timeoutMs` when it
   * stays silent.
   */
  ask<T>(name: string, question: Question<T>, timeoutMs: number): Promise<T>;
  close(): Promise<void>;
}

interface Opened {
  readonly connection: ProducerConnection;
  readonly queues: Map<string, Promise<Queue>>;
  /** Names of the queues that have reached the backend. */
  readonly ready: Set<string>;
}

const CLOSE_MS = 1_000;

/**
 * Keeps one connection and the BullMQ queues on it, and replaces all where they are of no more use: BullMQ remembers for
 * ever that it could not connect at first, and a connection that fell silent can stay so for a quarter of an hour.
 */
export function createProducer(backend: QueueBackend): Producer {
  // A connection outlives whoever asked first: its reconnects must not stand in that one's trace for ever.
  const openAnew = (): Opened =>
    detached(() => ({ connection: backend.connectProducer(), queues: new Map(), ready: new Set() }));
  let current: Opened | undefined = openAnew();
  let closed = false;

  return {
    async ask(name, question, timeoutMs) {
      if (closed) throw new Error("it was closed");
      const opened = (current ??= openAnew());
      try {
        return await within(timeoutMs, answer());
      } catch (error) {
        const refusal = opened.connection.refusal();
        if (!opened.ready.has(name) || error instanceof NoAnswerError) replace(opened);
        throw refusal ?? error;
      }

      async function answer(): ReturnType<typeof question> {
        const queue = await queueOf(opened, name);
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

  function queueOf(opened: Opened, name: string): Promise<Queue> {
    const known = opened.queues.get(name);
    if (known !== undefined) return known;
    const queue = detached(() => openQueue(backend, opened, name));
    queue.catch(() => undefined); // told to whoever asks
    opened.queues.set(name, queue);
    return queue;
  }

  function replace(opened: Opened): void {
    if (current !== opened) return;
    current = undefined;
    void shut(opened);
  }
}

async function openQueue(backend: QueueBackend, { connection, ready }: Opened, name: string): Promise<Queue> {
  await connection.settled();
  const queue = new Queue(
    name,
    {
      ...(backend.prefix === undefined ? {} : { prefix: backend.prefix }),
      connection: connection.connection as ConnectionOptions,
      skipWaitingForReady: true,
      streams: { events: { maxLen: 100 } },
      // BullMQ asks for the version once, at once, and where that fails every later add does, too.
      skipVersionCheck: true,
      ...(name === EVENTS_QUEUE ? queueTelemetry() : {}),
    },
    ...(backend.factory as readonly []),
  );
  // Without a listener an error of the connection would end the process.
  queue.on("error", () => undefined);
  await queue.waitUntilReady();
  ready.add(name);
  return queue;
}

async function shut({ queues, connection }: Opened): Promise<void> {
  const closing = Promise.allSettled([...queues.values()].map(async (queue) => (await queue).close()));
  await within(CLOSE_MS, closing).catch(() => undefined);
  await connection.cut();
}
