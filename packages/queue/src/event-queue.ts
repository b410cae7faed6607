/** A pointer to batches, as a consumer gets it. */
export interface QueuedBatches {
  /** Numbers of the batches. */
  readonly batches: readonly number[];
  /** How often a consumer has started this job and vanished. */
  readonly startedBefore: number;
}

export interface ConsumeOptions {
  /** The most jobs in flight. */
  readonly concurrency: number;
  /** Called with errors of the backend; the consumer reconnects by itself. */
  readonly onError?: (error: Error) => void;
}

/** A running consumer. */
export interface QueueConsumer {
  /** Takes no more jobs and waits for jobs in flight, at most `timeoutMs`; a job that is cut off runs again later. */
  close(timeoutMs: number): Promise<void>;
}

/**
 * The queue of batch pointers. It may lose its jobs: a sweep finds batches that are pending in Postgres and adds their jobs
 * again. A finished job is removed, whether it succeeded or failed.
 */
export interface EventQueue {
  readonly backend: "redis" | "postgres";
  /**
   * Adds jobs, each of which points to some batches. A job whose first batch has a job that waits or runs is not added. Fails within
   * seconds when the backend is away, and may then have added some jobs.
   *
   * @throws QueueUnavailableError
   */
  add(jobs: readonly (readonly number[])[]): Promise<void>;
  /** Runs `process` for each job. A job whose `process` rejects is gone; a sweep finds its batches in Postgres. */
  consume(process: (pointer: QueuedBatches) => Promise<void>, options: ConsumeOptions): QueueConsumer;
  /** Resolves when the backend does what a queue needs, rights and memory included. @throws QueueUnavailableError */
  ping(): Promise<void>;
  /** What is wrong with the backend or its settings, in words for an operator; empty when all is well. Never rejects. */
  warnings(): Promise<string[]>;
  /** How the backend is set up. @throws QueueUnavailableError */
  inspect(): Promise<QueueServer>;
  /** Closes the producing side. Close consumers first. */
  close(): Promise<void>;
}

/** How Redis is set up, as far as the queue rests on it; `postgres`: the queue shares what is said of Postgres. */
export type QueueServer =
  | { readonly kind: "postgres" }
  | {
      readonly kind: "redis";
      /** Redis, Valkey, … and its version. */
      readonly name: string;
      readonly version: string;
      readonly role: string;
      readonly evictionPolicy: string;
      readonly usedBytes: number;
      /** 0: no limit. */
      readonly maxBytes: number;
      /** What it keeps on disk; the queue needs none of it. */
      readonly persistence: "none" | "snapshots" | "log";
      /** Whether the last attempt to write to disk failed, after which Redis may refuse writes. */
      readonly failsToSave: boolean;
      readonly evictedKeys: number;
      /** How far its clock is ahead of this host's, in milliseconds, and how exact that is. */
      readonly clockAheadMs: number;
      readonly clockWithinMs: number;
    };

/** Thrown when the queue's backend cannot be reached or does not answer in time. The outcome of an add is unknown. */
export class QueueUnavailableError extends Error {
  readonly code = "QUEUE_UNAVAILABLE";
  override readonly name = "QueueUnavailableError";
}
