/** A verified event as the store takes it. */
export interface NewEvent {
  /** SHA-256 of source and event id, in hex: what makes a duplicate. */
  readonly key: string;
  /** SHA-256 of the body, in hex: what tells a duplicate from another event with the same id. */
  readonly bodyHash: string;
  readonly source: string;
  /** The id as sent, cleaned for display; null when it had none. */
  readonly eventId: string | null;
  readonly type: string | null;
  readonly createdAt: Date | null;
  readonly subjects: readonly string[];
  /** Why it cannot be handled as it is; null when all is well. */
  readonly problem: string | null;
  readonly traceparent: string | null;
  readonly body: Buffer;
}

/** What the ledger said of an event: it is new, or its key was there, with this body or with another. */
export type InsertOutcome = "new" | "duplicate" | "conflict";

/** What intake needs of a database. `packages/store` provides it. */
export interface EventStore {
  /**
   * Commits a batch of events with distinct keys, and says what became of each, in their order.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when the database is away; else what it said of the batch.
   */
  insertEvents(batchId: string, events: readonly NewEvent[]): Promise<InsertOutcome[]>;
}

/** What intake needs of a queue. `packages/queue` provides it. */
export interface BatchQueue {
  /** Adds a job for each batch; may reject or be slow, nothing is lost then. */
  add(batchIds: readonly string[]): Promise<void>;
}
