import type { Transaction } from "kysely";

/** A structured logger: the object first, a constant message second. Never log a payload. */
export interface HandlerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A replay that an operator asked for: an event is handled that was handled before, or that came before its handler. */
export interface Replay {
  readonly id: string;
  /** As the operator gave it. */
  readonly reason?: string;
}

/** What `handleBatch` gets beside its events. */
export interface BatchContext<DB> {
  /**
   * The transaction in which the event takes effect. Its writes and the mark that the handler ran commit together.
   * `search_path` is the handler's own schema; it sees no other but those that its handler declares (`reads`, `writes`).
   * Transaction control (BEGIN, COMMIT, SAVEPOINT …), SET, COPY and what would outlast it on its connection (prepared
   * statements, cursors WITH HOLD, what is temporary without ON COMMIT DROP, locks of the session) are refused,
   * and it is unusable once the handler has returned. Await every statement: what is under way then is waited for.
   */
  readonly tx: Transaction<DB>;
  /** A logger that carries the handler's name (and, in `handle`, the ids of the event). */
  readonly log: HandlerLog;
  /** Aborted when the handler's time is up or the worker stops: pass it on to whatever takes long. */
  readonly signal: AbortSignal;
}

/** What `handle` gets beside its event. */
export interface HandlerContext<DB> extends BatchContext<DB> {
  /** Which try of this event by this handler this is; the first is 1. */
  readonly attempt: number;
  /** The replay that has it handled; null when it is handled because it was received. */
  readonly replay: Replay | null;
  /** The same for every try of this event by this handler, except in a replay "again": give it to whatever outside takes an idempotency key. */
  readonly idempotencyKey: string;
}

/**
 * What the `handle` of an effect handler gets beside its event. It runs outside of any transaction; what it keeps in tables
 * of its own it writes by `transaction`.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a handler that names no tables may use any
export interface EffectContext<DB = any> {
  readonly log: HandlerLog;
  /** Aborted when the handler's time is up or the worker stops: pass it on to whatever takes long. */
  readonly signal: AbortSignal;
  /** Which try of this event by this handler this is; the first is 1. */
  readonly attempt: number;
  /** The replay that has it handled; null when it is handled because it was received. */
  readonly replay: Replay | null;
  /** The same for every try of this event by this handler, except in a replay "again": give it to whatever outside takes an idempotency key. */
  readonly idempotencyKey: string;
  /**
   * Does something once for this event: `fn` runs, what it returns is recorded, and every later call with this key, in
   * this try or a later one, gets the record instead. When `fn` throws there is no record, and a later call runs it again.
   * Keys are the handler's own, 1 to 200 characters, e.g. `"email"`. What `fn` returns comes back as JSON makes it, the
   * first time, too (undefined is null, a Date is text); what JSON cannot hold is recorded as null, and the call rejects.
   *
   * What is promised: at least once, and once it is recorded, never again. Between what `fn` does and its record the
   * process can die or the handler's time can end; then a later try does it again. Only the outside can rule that out:
   * give it `idempotencyKey`, with the key appended where there are several.
   *
   * Await every call. What is under way when the handler returns or throws belongs to the try all the same, and so does what
   * that begins in turn: the outcome waits for it, and the try fails when it fails.
   *
   * @throws an error with code `LEASE_LOST` when this try is over: it was timed out, its delivery went to another worker, or
   *   the handler had returned and nothing was under way. Nothing more is done or recorded then.
   * @example
   * const { id } = await ctx.once("ticket", () => openTicket(event, { key: ctx.idempotencyKey, signal: ctx.signal }));
   */
  once<Result>(key: string, fn: () => Promise<Result> | Result): Promise<Result>;
  /**
   * Does something in Postgres exactly once for this event: `fn` gets a transaction on the handler's own schema, and what it
   * writes commits together with the record of what it returned. Every later call with this key, in this try or a later
   * one, gets the record instead. Keys, records and errors are those of `once`; a result that JSON cannot hold undoes all.
   *
   * Decide in it, and do what was decided afterwards, by `once`: the transaction holds locks, and a worker has one at a time
   * for each handler. Where Postgres or another transaction is in the way, `fn` is run again.
   *
   * @throws a TypeError when the handler has no `migrations`, and so no schema.
   * @example
   * const isFirst = await ctx.transaction("claim", async (tx) => {
   *   const row = { conversation_id: event.data.conversationId };
   *   const added = await tx.insertInto("greeted").values(row).onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
   *   return added.numInsertedOrUpdatedRows === 1n;
   * });
   */
  transaction<Result>(key: string, fn: (tx: Transaction<DB>) => Promise<Result>): Promise<Result>;
}

/**
 * Whose data is to be erased, told by one value. `subject`: the id of a contact, conversation or the like; `value`: a text
 * wherever it stands, e.g. a phone number; `where`: a value at a path of the body.
 */
export interface ErasedSubject {
  readonly kind: "subject" | "value" | "where";
  readonly value: string;
  /** e.g. `data.phone`; null unless it was told by a path. */
  readonly path: string | null;
  /** The sources that there are: ids are a workspace's own. */
  readonly sources: readonly string[];
}

/** What `erase` of a transactional handler gets beside whom to erase. */
export interface EraseContext<DB> {
  /** A transaction on the handler's schema, as `handle` has it. */
  readonly tx: Transaction<DB>;
  readonly log: HandlerLog;
  /** Aborted when the handler's time is up or the worker stops: pass it on to whatever takes long. */
  readonly signal: AbortSignal;
}

/** What `erase` of an effect handler gets beside whom to erase. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see EffectContext
export interface EffectEraseContext<DB = any> {
  readonly log: HandlerLog;
  /** Aborted when the handler's time is up or the worker stops: pass it on to whatever takes long. */
  readonly signal: AbortSignal;
  /** The same for every try of this erasure by this handler. */
  readonly idempotencyKey: string;
  /** Runs `fn` in a transaction on the handler's own schema. @throws a TypeError when the handler has no `migrations`. */
  transaction<Result>(fn: (tx: Transaction<DB>) => Promise<Result>): Promise<Result>;
}
