import type { BackendFactory } from "bullmq";
import { batchJobSchema } from "@penstock/schemas";
import { consumeJobs } from "./consume-jobs.ts";
import type { EventQueue, QueueServer } from "./event-queue.ts";
import { createProducer, type Question } from "./producer.ts";
import { toUnavailable } from "./to-unavailable.ts";

/** A connection to a backend, or a pool of connections, in the form that BullMQ takes. */
export interface QueueConnection {
  readonly connection: unknown;
  /** Disconnects within a second, whatever is in flight: a frozen backend must not hold up a stop. Never rejects. */
  disconnect(): Promise<void>;
}

/** A connection whose commands fail fast. */
export interface ProducerConnection extends QueueConnection {
  /** Resolves once an attempt to connect that is in flight has ended, well or not. Never rejects. */
  settled(): Promise<void>;
  /** Why there is no connection; undefined while connected, or when the reason is unknown. */
  refusal(): Error | undefined;
  /** Resolves when the backend does what a queue needs of it. */
  ping(): Promise<void>;
  /** What is wrong with the backend's settings, in words for an operator. */
  warnings(): Promise<string[]>;
  inspect(): Promise<QueueServer>;
}

/** Where BullMQ keeps its jobs, and how to connect there. */
export interface QueueBackend {
  readonly name: EventQueue["backend"];
  /** BullMQ's factory for a backend that is not Redis: the last argument of its constructors. */
  // oxlint-disable-next-line typescript/no-explicit-any -- BullMQ types it by the connection, which only it looks into
  readonly factory: readonly [] | readonly [BackendFactory<any, any>];
  /** What an error means for an operator, and what to do about it. */
  explain(error: Error): string;
  /** Redis only: the prefix of all keys. */
  readonly prefix?: string;
  connectProducer(): ProducerConnection;
  /** A connection that waits while the backend is away; a pool of so many connections where the backend is Postgres. */
  connectConsumer(connections: number): QueueConnection;
}

export interface QueueTuning {
  /** How long a consumer may be silent before its job goes to another, in milliseconds; 20,000 unless given. */
  readonly lockMs?: number;
  /** How often silent consumers are looked for, in milliseconds; 10,000 unless given. */
  readonly stalledCheckMs?: number;
  /** The longest that an add may take, in milliseconds; 3,000 unless given. */
  readonly addTimeoutMs?: number;
}

// A finished job leaves nothing behind: its id must be free, so that the sweep can add the batch again.
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1, keepLogs: 0, stackTraceLimit: 1 };

/** Wires the queue of batch pointers on a backend. */
export function createEventQueue(backend: QueueBackend, tuning: QueueTuning = {}): EventQueue {
  const { lockMs = 20_000, stalledCheckMs = 10_000, addTimeoutMs = 3_000 } = tuning;
  const producer = createProducer(backend);

  async function ask<T>(question: Question<T>): Promise<T> {
    try {
      return await producer.ask(question, addTimeoutMs);
    } catch (error) {
      throw toUnavailable(backend, error);
    }
  }

  async function warnings(): Promise<string[]> {
    try {
      return await ask(async (_, connection) => {
        await connection.ping();
        return connection.warnings();
      });
    } catch (error) {
      return [
        `${(error as Error).message}. Until it works, events are accepted and kept in Postgres, and handled later`,
      ];
    }
  }

  return {
    backend: backend.name,
    async add(pointers) {
      if (pointers.length === 0) return;
      const jobs = pointers.map((batches) => ({
        name: "batch",
        data: { v: 1, batches },
        // BullMQ takes no id that is a number.
        opts: { ...JOB_OPTIONS, jobId: `b${batches[0]}` },
      }));
      await ask(async (queue) => {
        const [only] = jobs;
        if (jobs.length === 1 && only !== undefined) await queue.add(only.name, only.data, only.opts);
        else await queue.addBulk(jobs);
      });
    },
    consume: (process, options) =>
      consumeJobs(
        backend,
        ({ data, startedBefore }) => process({ batches: batchJobSchema.parse(data).batches, startedBefore }),
        { ...options, lockMs, stalledCheckMs },
      ),
    ping: () => ask((_, connection) => connection.ping()),
    warnings,
    inspect: () => ask((_, connection) => connection.inspect()),
    close: () => producer.close(),
  };
}
