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
  /** Resolves when the backend does what a queue needs of it, rights and memory included. @throws QueueUnavailableError */
  ping(): Promise<void>;
  /** What is wrong with the backend or its settings, in words for an operator; empty when all is well. Never rejects. */
  warnings(): Promise<string[]>;
  /** Closes the producing side. Close consumers first. */
  close(): Promise<void>;
}

/** Thrown when the queue's backend cannot be reached or does not answer in time. The outcome of an add is unknown. */
export class QueueUnavailableError extends Error {
  readonly code = "QUEUE_UNAVAILABLE";
  override readonly name = "QueueUnavailableError";
}
