/** A pointer to batches, as a consumer gets it. */
export interface QueuedBatches {
  /** Their numbers. */
  readonly batches: readonly number[];
  /** How often a consumer has begun this job and vanished. */
  readonly startedBefore: number;
}

export interface ConsumeOptions {
  /** Jobs at once. */
  readonly concurrency: number;
  /** Hears of trouble with the backend; it reconnects by itself. */
  readonly onError?: (error: Error) => void;
}

/** A pointer to a delivery that was due when it was added. */
export interface QueuedDelivery {
  readonly day: string;
  readonly seq: number;
  readonly subscriber: string;
  /** Whether its worker vanished before, so that it has to run alone. */
  readonly interrupted: boolean;
}

/** A running consumer. */
export interface QueueConsumer {
  /** Takes no more jobs and waits for those under way, at most `timeoutMs`; what is cut off is run again later. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * The queue of batch pointers. It may lose what it holds: whatever is pending in Postgres is found and added again.
 * A job is removed once it has finished, well or not.
 */
export interface EventQueue {
  readonly backend: "redis" | "postgres";
  /**
   * Adds jobs, each of which points to some batches. One that begins with the same batch and waits or runs already stays as
   * it is. Fails within seconds when the backend is away, and may then have added some.
   *
   * @throws QueueUnavailableError
   */
  add(jobs: readonly (readonly number[])[]): Promise<void>;
  /** Runs `process` for each job. When it rejects, the job is gone; its batches are found again in Postgres. */
  consume(process: (pointer: QueuedBatches) => Promise<void>, options: ConsumeOptions): QueueConsumer;
  /** The queue of deliveries to one effect handler, on the same backend. */
  deliveriesTo(handler: string): DeliveryQueue;
  /** The queue of endpoints for which deliveries are due, on the same backend. */
  endpoints(): EndpointQueue;
  /** Resolves when the backend does what a queue needs of it, rights and memory included. @throws QueueUnavailableError */
  ping(): Promise<void>;
  /** What is wrong with the backend or its settings, in words for an operator; empty when all is well. Never rejects. */
  warnings(): Promise<string[]>;
  /** Closes the producing side. Close consumers first. */
  close(): Promise<void>;
}

/**
 * The queue of pointers to deliveries of one effect handler, of the same kind: what it loses is found in Postgres, and a
 * finished job leaves nothing behind.
 */
export interface DeliveryQueue {
  /**
   * Adds a job for each delivery, by an id of the caller's: one that waits or runs already under that id stays as it is.
   *
   * @throws QueueUnavailableError
   */
  add(jobs: readonly { readonly id: string; readonly delivery: QueuedDelivery }[]): Promise<void>;
  /**
   * Runs `process` for each job, not more often than the rate limit allows, over all consumers of this queue. When it
   * rejects, the job is gone; its delivery is found again in Postgres.
   */
  consume(
    process: (delivery: QueuedDelivery) => Promise<void>,
    options: ConsumeOptions & { readonly rateLimit?: { readonly max: number; readonly perMs: number } | null },
  ): QueueConsumer;
}

/**
 * The queue of endpoints for which deliveries are due, of the same kind. An endpoint has one job at most, which waits or
 * runs: so one consumer at a time runs an endpoint.
 */
export interface EndpointQueue {
  /** Adds a job for each endpoint that has none. @throws QueueUnavailableError */
  add(endpoints: readonly string[]): Promise<void>;
  /**
   * Runs `process` for each job. `onGone` hears of each once it is gone, however it ended: what became due for the endpoint
   * while it ended could not be added.
   */
  consume(
    process: (endpoint: string) => Promise<void>,
    options: ConsumeOptions & { readonly onGone: (endpoint: string) => void },
  ): QueueConsumer;
}

/** Thrown when the queue's backend cannot be reached or does not answer in time. The outcome of an add is unknown. */
export class QueueUnavailableError extends Error {
  readonly code = "QUEUE_UNAVAILABLE";
  override readonly name = "QueueUnavailableError";
}
