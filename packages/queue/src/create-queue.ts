import type { BackendFactory } from "bullmq";
import { consumeBatches } from "./consume-batches.ts";
import { type EventQueue, QueueUnavailableError } from "./event-queue.ts";
import { createProducer, type Question } from "./producer.ts";

/** A connection to a backend, or a pool of them, in the form that BullMQ takes. */
export interface QueueConnection {
  readonly connection: unknown;
  /** Ends it within a second, whatever is under way: a frozen backend must not hold up a stop. Never rejects. */
  cut(): Promise<void>;
}

/** One that fails fast. */
export interface ProducerConnection extends QueueConnection {
  /** Resolves once an attempt to connect that is under way has ended, well or not. Never rejects. */
  settled(): Promise<void>;
  /** Resolves when the backend answers. */
  ping(): Promise<void>;
  /** What is wrong with the backend's settings, in words for an operator. */
  warnings(): Promise<string[]>;
}

/** Where BullMQ keeps its jobs, and how to reach it. */
export interface QueueBackend {
  readonly name: EventQueue["backend"];
  /** BullMQ's factory for a backend that is not Redis: the last argument of its constructors. */
  // oxlint-disable-next-line typescript/no-explicit-any -- BullMQ types it by the connection, which only it looks into
  readonly factory: readonly [] | readonly [BackendFactory<any, any>];
  /** Redis only: the prefix of all keys. */
  readonly prefix?: string;
  connectProducer(): ProducerConnection;
  /** One that waits for the backend to come back, for so many jobs at once. */
  connectConsumer(concurrency: number): QueueConnection;
}

export interface QueueTuning {
  /** How long a consumer may be silent before its job goes to another, in milliseconds; 20,000 unless given. */
  readonly lockMs?: number;
  /** How often silent consumers are looked for, in milliseconds; 10,000 unless given. */
  readonly stalledCheckMs?: number;
  /** The longest that an add may take, in milliseconds; 3,000 unless given. */
  readonly addTimeoutMs?: number;
}

// Nothing is kept of a finished job: its id must be free, so that the sweep can add the batch again.
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1, keepLogs: 0, stackTraceLimit: 1 };

/** Wires the queue of batch pointers on a backend. */
export function createEventQueue(backend: QueueBackend, tuning: QueueTuning = {}): EventQueue {
  const { lockMs = 20_000, stalledCheckMs = 10_000, addTimeoutMs = 3_000 } = tuning;
  const producer = createProducer(backend);

  async function ask<T>(question: Question<T>): Promise<T> {
    try {
      return await producer.ask(question, addTimeoutMs);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new QueueUnavailableError(`the queue is not available: ${message}`, { cause: error });
    }
  }

  return {
    backend: backend.name,
    async add(batchIds) {
      if (batchIds.length === 0) return;
      const jobs = batchIds.map((batchId) => ({
        name: "batch",
        data: { v: 1, batchId },
        opts: { ...JOB_OPTIONS, jobId: batchId },
      }));
      await ask(async (queue) => {
        const [only] = jobs;
        if (jobs.length === 1 && only !== undefined) await queue.add(only.name, only.data, only.opts);
        else await queue.addBulk(jobs);
      });
    },
    consume: (process, options) => consumeBatches(backend, process, { ...options, lockMs, stalledCheckMs }),
    ping: () => ask((_, connection) => connection.ping()),
    warnings: () => ask((_, connection) => connection.warnings()),
    close: () => producer.close(),
  };
}
