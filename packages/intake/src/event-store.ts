/** How the request of an event came, for operators to look at. */
export interface Arrival {
  /** Names of headers that are kept: the same array for all requests of a source. */
  readonly names: readonly string[];
  /** Their values, in the order of the names; undefined where a header was not sent. */
  readonly values: readonly (string | undefined)[];
  /** The fingerprint of the secret that verified it. */
  readonly secret: string | null;
  /** How old the signature was; null where it covers no time. */
  readonly signatureAgeMs: number | null;
}

/** A verified event as the store takes it. */
export interface NewEvent {
  readonly source: string;
  /** The id as sent, cleaned for display; null when it had none. */
  readonly eventId: string | null;
  /** SHA-256 of source and id as sent, in hex, where that is not the id that is shown; else null. */
  readonly key: string | null;
  readonly type: string | null;
  readonly createdAt: Date | null;
  readonly subjects: readonly string[];
  /** Why it cannot be handled as it is; null when all is well. */
  readonly problem: string | null;
  readonly traceparent: string | null;
  /** Whether its id alone tells that it is a duplicate: the same event can come again with another body. */
  readonly bodyVaries: boolean;
  readonly body: Buffer;
  /** The replay that it is made for, and the event (its seq) that it is made of; null for one that was received. */
  readonly replay: { readonly id: string; readonly of: number } | null;
  /** Null where nothing is kept of how it came, or it was made here. */
  readonly arrival?: Arrival | null;
}

/** What intake needs of a database. `packages/store` provides it. */
export interface EventStore {
  /**
   * Commits events as one batch, 1,024 at most, and returns its number.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when the database is away; else what it said of the batch.
   */
  commitBatch(events: readonly NewEvent[]): Promise<number>;
}

/** What intake needs of a queue. `packages/queue` provides it. */
export interface BatchQueue {
  /** Adds jobs, each of which points to some batches; may reject or be slow, nothing is lost then. */
  add(jobs: readonly (readonly number[])[]): Promise<void>;
}
