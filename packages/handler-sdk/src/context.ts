import type { Transaction } from "kysely";

/** A structured logger: the object first, a constant message second. Never log a payload. */
export interface HandlerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What `handleBatch` gets beside its events. */
export interface BatchContext<DB> {
  /**
   * The transaction in which the event takes effect. Its writes and the mark that the handler ran commit together.
   * `search_path` is the handler's own schema. Transaction control (BEGIN, COMMIT, SAVEPOINT …) and SET are refused,
   * and it is unusable once the handler has returned.
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
  /** The same for every try of this event by this handler: give it to whatever outside takes an idempotency key. */
  readonly idempotencyKey: string;
}

/** What the `handle` of an effect handler gets beside its event. It has no transaction: what it does is outside. */
export interface EffectContext {
  readonly log: HandlerLog;
  /** Aborted when the handler's time is up or the worker stops: pass it on to whatever takes long. */
  readonly signal: AbortSignal;
  /** Which try of this event by this handler this is; the first is 1. */
  readonly attempt: number;
  /** The same for every try of this event by this handler: give it to whatever outside takes an idempotency key. */
  readonly idempotencyKey: string;
  /**
   * Does something once for this event: `fn` runs, what it returns is recorded, and every later try gets the record
   * instead. Keys are the handler's own, e.g. `"email"`; what `fn` returns must be JSON (undefined is null).
   *
   * Between what `fn` does and its record the process can die; then a later try does it again. Only the outside can rule
   * that out: give it `idempotencyKey`, with the key appended where there are several.
   */
  once<Result>(key: string, fn: () => Promise<Result> | Result): Promise<Result>;
}
