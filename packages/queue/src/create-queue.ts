import type { BackendFactory } from "bullmq";
import {
  batchJobSchema,
  deliveriesQueue,
  deliveryJobSchema,
  endpointJobSchema,
  ENDPOINTS_QUEUE,
  EVENTS_QUEUE,
} from "@penstock/schemas";
import { consumeJobs } from "./consume-jobs.ts";
import type { DeliveryQueue, EndpointQueue, EventQueue, QueuedDelivery } from "./event-queue.ts";
import { createProducer, type Question } from "./producer.ts";
import { toUnavailable } from "./to-unavailable.ts";

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
  /** Why it is not connected; undefined when it is, or nobody has said. */
  refusal(): Error | undefined;
  /** Resolves when the backend does what a queue needs of it. */
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
  /** What an error means for an operator, and what to do about it. */
  explain(error: Error): string;
  /** Redis only: the prefix of all keys. */
  readonly prefix?: string;
  connectProducer(): ProducerConnection;
  /** One that waits for the backend to come back; of a pool, with so many connections that work. */
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

// Nothing is kept of a finished job: its id must be free, so that the sweep can add the batch again.
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1, keepLogs: 0, stackTraceLimit: 1 };

function toDelivery(data: unknown): QueuedDelivery {
  const { day, seq, subscriber, interrupted } = deliveryJobSchema.parse(data);
  return { day, seq, subscriber, interrupted };
}

/** A consumer of deliveries needs a connection for each job's first and last moment, not for all that it takes. */
const DELIVERY_CONNECTIONS = 4;

/** Wires the queue of batch pointers on a backend, and those of deliveries. */
export function createEventQueue(backend: QueueBackend, tuning: QueueTuning = {}): EventQueue {
  const { lockMs = 20_000, stalledCheckMs = 10_000, addTimeoutMs = 3_000 } = tuning;
  const producer = createProducer(backend);

  async function ask<T>(name: string, question: Question<T>): Promise<T> {
    try {
      return await producer.ask(name, question, addTimeoutMs);
    } catch (error) {
      throw toUnavailable(backend, error);
    }
  }

  async function warnings(): Promise<string[]> {
    try {
      return await ask(EVENTS_QUEUE, async (_, connection) => {
        await connection.ping();
        return connection.warnings();
      });
    } catch (error) {
      return [
        `${(error as Error).message}. Until it works, events are accepted and kept in Postgres, and handled later`,
      ];
    }
  }

  async function add(name: string, kind: string, pointers: readonly { id: string; data: object }[]): Promise<void> {
    if (pointers.length === 0) return;
    const jobs = pointers.map(({ id, data }) => ({
      name: kind,
      data: { v: 1, ...data },
      opts: { ...JOB_OPTIONS, jobId: id },
    }));
    await ask(name, async (queue) => {
      const [only] = jobs;
      if (jobs.length === 1 && only !== undefined) await queue.add(only.name, only.data, only.opts);
      else await queue.addBulk(jobs);
    });
  }

  function deliveriesTo(handler: string): DeliveryQueue {
    const name = deliveriesQueue(handler);
    return {
      add: (jobs) =>
        add(
          name,
          "delivery",
          jobs.map(({ id, delivery }) => ({ id, data: delivery })),
        ),
      consume: (process, options) =>
        consumeJobs(backend, ({ data }) => process(toDelivery(data)), {
          ...options,
          name,
          connections: Math.min(options.concurrency, DELIVERY_CONNECTIONS),
          lockMs,
          stalledCheckMs,
          // A delivery's spans stand in its event's trace. A trace of the job would tell nothing more.
          traced: false,
        }),
    };
  }

  function endpoints(): EndpointQueue {
    const toEndpoint = (data: unknown): string => endpointJobSchema.parse(data).endpoint;
    return {
      add: (ids) =>
        add(
          ENDPOINTS_QUEUE,
          "endpoint",
          ids.map((id) => ({ id, data: { endpoint: id } })),
        ),
      consume: (process, { onGone, ...options }) =>
        consumeJobs(backend, ({ data }) => process(toEndpoint(data)), {
          ...options,
          onGone: (data) => onGone(toEndpoint(data)),
          name: ENDPOINTS_QUEUE,
          connections: Math.min(options.concurrency, DELIVERY_CONNECTIONS),
          lockMs,
          stalledCheckMs,
          traced: false,
        }),
    };
  }

  return {
    backend: backend.name,
    add: (pointers) =>
      add(
        EVENTS_QUEUE,
        "batch",
        // BullMQ takes no id that is a number.
        pointers.map((batches) => ({ id: `b${batches[0]}`, data: { batches } })),
      ),
    consume: (process, options) =>
      consumeJobs(
        backend,
        ({ data, startedBefore }) => process({ batches: batchJobSchema.parse(data).batches, startedBefore }),
        { ...options, name: EVENTS_QUEUE, lockMs, stalledCheckMs, traced: true },
      ),
    deliveriesTo,
    endpoints,
    ping: () => ask(EVENTS_QUEUE, (_, connection) => connection.ping()),
    warnings,
    close: () => producer.close(),
  };
}
