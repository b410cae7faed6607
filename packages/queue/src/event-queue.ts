/** A pointer to a batch, as a consumer gets it. */
export interface QueuedBatch {
  readonly batchId: string;
  /** True when a consumer began this job before and vanished. */
  readonly startedBefore: boolean;
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
   * Adds a job for each batch. One that waits or runs already stays as it is. Fails within seconds when the backend is
   * away, and may then have added some.
   *
   * @throws QueueUnavailableError
   */
  add(batchIds: readonly string[]): Promise<void>;
  /** Runs `process` for each job. When it rejects, the job is gone; its batch is found again in Postgres. */
  consume(process: (batch: QueuedBatch) => Promise<void>, options: ConsumeOptions): QueueConsumer;
  /** Resolves when the backend answers. @throws QueueUnavailableError */
  ping(): Promise<void>;
  /** What is wrong with the backend's settings, in words for an operator; empty when all is well. */
  warnings(): Promise<string[]>;
  /** Closes the producing side. Close consumers first. */
  close(): Promise<void>;
}

/** Thrown when the queue's backend cannot be reached or does not answer in time. The outcome of an add is unknown. */
export class QueueUnavailableError extends Error {
  readonly code = "QUEUE_UNAVAILABLE";
  override readonly name = "QueueUnavailableError";
}
