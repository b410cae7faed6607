import { nextTick } from "node:process";
import type { EffectContext } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { Effect, EngineContext } from "../contract/engine-context.ts";
import type { ClaimedEffect } from "../contract/engine-store.ts";
import { CalledTooLateError, ConflictError, isUnavailable, LeaseLostError, placeOf } from "../outage/errors.ts";
import { retryPastStop, retryUntilStop } from "../outage/outage-pause.ts";

/** `ctx.once` and `ctx.transaction` of one attempt. */
export interface Once {
  readonly once: EffectContext["once"];
  /** Gives up on `fn` when the signal is aborted, and discards the connection of the transaction. */
  transaction<Result>(
    key: string,
    signal: AbortSignal,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
    fn: (tx: Transaction<any>) => Promise<Result>,
  ): Promise<Result>;
  /**
   * To be called once the handler has returned or thrown. Waits until all its effects, and effects that these start in turn, have
   * ended and are recorded; then no more may start. Rejects with the first failure that the handler did not await.
   */
  finished(): Promise<void>;
  /** Ends the attempt: no effect starts or is recorded any more. Resolves once records in flight are written. Never rejects. */
  close(): Promise<void>;
  /** The outage that kept a record waiting for Postgres; undefined without one. */
  outage(): unknown;
}

const MAX_KEY_LENGTH = 200;

/**
 * Makes the `ctx.once` and `ctx.transaction` of an attempt. An effect is recorded only while the delivery belongs to this attempt:
 * an attempt that was given up, or whose lease went to another worker, records nothing. While Postgres is away the record
 * waits for it, also past the handler's time-out, since the effect has happened.
 */
export function createOnce(
  engine: EngineContext,
  { delivery, done }: ClaimedEffect,
  { handler, transactions }: Effect,
): Once {
  const results = new Map<string, Promise<unknown>>();
  const recording = new Set<Promise<unknown>>();
  /** Effects in flight. */
  const open = new Set<Promise<unknown>>();
  for (const [key, result] of done) results.set(key, Promise.resolve(result));
  let state: "handling" | "draining" | "ended" | "given up" = "handling";
  /** The first failure that the handler did not await. */
  let unheard: { readonly error: unknown } | undefined;
  let outage: unknown;

  const isGivenUp = (): boolean => state === "given up";

  function assertOpen(): void {
    if (isGivenUp()) throw new LeaseLostError(delivery.subscriber);
  }

  async function run(key: string, fn: () => unknown): Promise<unknown> {
    assertOpen();
    const result = await fn();
    assertOpen();
    const { json, problem } = toJson(key, result);
    const recorded = retryPastStop(engine, () =>
      engine.store.recordEffect(delivery, key, json).catch((error: unknown) => {
        if (isUnavailable(error)) outage = error;
        throw error;
      }),
    );
    recording.add(recorded);
    const isOurs = await recorded.finally(() => recording.delete(recorded));
    if (!isOurs) throw new LeaseLostError(delivery.subscriber);
    if (problem !== undefined) throw problem;
    return JSON.parse(json) as unknown;
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see Once
  async function commit(key: string, signal: AbortSignal, fn: (tx: Transaction<any>) => Promise<unknown>) {
    let rounds = 0;
    return retryUntilStop(engine, async () => {
      assertOpen();
      try {
        return JSON.parse(await commitOnce(key, signal, fn, ++rounds > 1)) as unknown;
      } catch (error) {
        if (isUnavailable(error)) outage = error;
        throw error;
      }
    });
  }

  /** One try, whose commit may succeed although its answer gets lost. `again`: look first whether an earlier try has committed. */
  function commitOnce(
    key: string,
    signal: AbortSignal,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see Once
    fn: (tx: Transaction<any>) => Promise<unknown>,
    again: boolean,
  ): Promise<string> {
    return engine.store.transaction(async (tx) => {
      const found = again ? await tx.findEffect(delivery, key) : null;
      if (found !== null) return found;
      let result: unknown;
      const outcome = await tx.savepoint(handler.schema, async (db) => {
        result = await unlessAborted(signal, () => fn(db));
      });
      if (!outcome.ok) throw outcome.error;
      const { json, problem } = toJson(key, result);
      if (problem !== undefined) throw problem;
      assertOpen();
      const recorded = await tx.recordEffect(delivery, key, json);
      if (recorded === "lost") throw new LeaseLostError(delivery.subscriber);
      // An earlier try has committed meanwhile: the work of this one must not be kept as well.
      if (recorded === "there") throw new ConflictError("it was recorded meanwhile");
      return json;
    });
  }

  /** `Result` is what JSON makes of the result; the handler declares it. */
  function onceFor<Result>(method: "once" | "transaction", key: string, work: () => Promise<unknown>): Promise<Result> {
    if (!isKey(key)) {
      const shown = JSON.stringify(key)?.slice(0, 100);
      return Promise.reject(
        new TypeError(`ctx.${method}: a key is text of 1 to ${MAX_KEY_LENGTH} characters without NUL, not ${shown}`),
      );
    }
    const known = results.get(key);
    if (known !== undefined) return known as Promise<Result>;
    if (state === "ended") return Promise.reject(refuse(method));
    const begun = work();
    const result = new HeardPromise<unknown>((resolve) => resolve(begun));
    results.set(key, result);
    open.add(begun);
    const ended = begun.catch((error: unknown) => {
      // A failed effect has no record, so it may be tried again, in this attempt or a later one.
      results.delete(key);
      if (state === "draining" || !result.isHeard) unheard ??= { error };
    });
    void ended.finally(() => open.delete(begun));
    result.ignore();
    return result as Promise<unknown> as Promise<Result>;
  }

  /** Refuses an effect after the end of the attempt: it would be recorded nowhere. */
  function refuse(method: string): Error {
    const error = new CalledTooLateError(method, delivery.subscriber);
    const { seq, subscriber, attempt } = delivery;
    engine.log.error(
      { handler: subscriber, seq, attempt, at: placeOf(error) },
      `ctx.${method} was called after its handler had ended and was refused: await every call`,
    );
    return error;
  }

  return {
    once: (key, fn) => onceFor("once", key, () => run(key, fn)),
    transaction: (key, signal, fn) =>
      onceFor("transaction", key, async () => {
        if (Object.keys(handler.migrations).length === 0) {
          throw new TypeError("ctx.transaction: the handler has no schema, give it `migrations`");
        }
        return transactions.exclusive(() => {
          const committed = commit(key, signal, fn);
          recording.add(committed);
          return committed.finally(() => recording.delete(committed));
        });
      }),
    async finished() {
      state = "draining";
      do {
        await Promise.allSettled(open);
        await new Promise<void>((resolve) => nextTick(resolve)); // code that awaited these has continued by then
      } while (open.size > 0 && !isGivenUp());
      if (isGivenUp()) return;
      state = "ended";
      if (unheard !== undefined) throw unheard.error;
    },
    async close() {
      state = "given up";
      await Promise.allSettled(recording);
    },
    outage: () => outage,
  };
}

/** A promise that knows whether it is awaited. Its `then` makes plain promises. */
class HeardPromise<T> extends Promise<T> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  isHeard = false;

  // eslint-disable-next-line unicorn/no-thenable -- a promise has one
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isHeard = true;
    return super.then(onFulfilled, onRejected);
  }

  /** Keeps a failure that nobody awaits from being an unhandled rejection: the attempt fails with it. */
  ignore(): void {
    super.then(undefined, () => undefined);
  }
}

function isKey(key: unknown): key is string {
  return typeof key === "string" && key.length > 0 && key.length <= MAX_KEY_LENGTH && !key.includes("\0");
}

/**
 * A result that cannot be written as JSON is recorded as null: the effect has happened, and must not happen again only because its
 * result cannot be stored.
 */
function toJson(key: string, result: unknown): { readonly json: string; readonly problem?: Error } {
  try {
    return { json: JSON.stringify(result) ?? "null" };
  } catch (cause) {
    const says = cause instanceof Error ? cause.message : String(cause);
    const problem = new TypeError(`ctx.once(${JSON.stringify(key)}): recorded as null, its result is no JSON: ${says}`);
    return { json: "null", problem };
  }
}

/** Rejects with the reason when the signal is aborted, also while the work goes on. */
async function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener("abort", abort);
  }
}
