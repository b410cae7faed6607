import type { EffectContext } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { Effect, EngineContext } from "./engine-context.ts";
import type { ClaimedEffect } from "./engine-store.ts";
import { ConflictError, isConflict, isUnavailable, LeaseLostError } from "./errors.ts";
import { createOutagePause, insist } from "./outage-pause.ts";

/** `ctx.once` and `ctx.transaction` of one attempt. */
export interface Once {
  readonly once: EffectContext["once"];
  /** Gives up on `fn` when the signal is aborted, and discards its connection. */
  transaction<Result>(
    key: string,
    signal: AbortSignal,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
    fn: (tx: Transaction<any>) => Promise<Result>,
  ): Promise<Result>;
  /** Resolves once everything that was begun is done and recorded; rejects with the first failure. */
  finished(): Promise<void>;
  /** Nothing more is begun or recorded; resolves once the records that are under way are written. Never rejects. */
  close(): Promise<void>;
  /** What kept a record waiting for Postgres; undefined when nothing has. */
  outage(): unknown;
}

const MAX_KEY_LENGTH = 200;

/**
 * Makes the `ctx.once` and `ctx.transaction` of an attempt. A record is written only while the delivery is this
 * attempt's: one that was given up, or whose lease went to another worker, leaves none. While Postgres is away the record
 * waits for it, also past the handler's time: what was done is done.
 */
export function createOnce(
  engine: EngineContext,
  { delivery, done }: ClaimedEffect,
  { handler, transactions }: Effect,
): Once {
  const results = new Map<string, Promise<unknown>>();
  const recording = new Set<Promise<unknown>>();
  for (const [key, result] of done) results.set(key, Promise.resolve(result));
  let closed = false;
  let outage: unknown;

  function assertOpen(): void {
    if (closed) throw new LeaseLostError(delivery.subscriber);
  }

  async function run(key: string, fn: () => unknown): Promise<unknown> {
    assertOpen();
    const result = await fn();
    assertOpen();
    const { json, problem } = toJson(key, result);
    const recorded = insist(engine, () =>
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
    const pause = createOutagePause(engine);
    for (let round = 1; ; round++) {
      assertOpen();
      try {
        return JSON.parse(await commitOnce(key, signal, fn, round > 1)) as unknown;
      } catch (error) {
        if (!(isUnavailable(error) || isConflict(error))) throw error;
        if (isUnavailable(error)) outage = error;
        await pause(error);
      }
    }
  }

  /** One try, which may commit without our hearing of it: `again` looks whether one before has. */
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
      // The one before committed only now: what this one did must not be kept as well.
      if (recorded === "there") throw new ConflictError("it was recorded meanwhile");
      return json;
    });
  }

  /** The type is the handler's: what JSON makes of its result. */
  function onceFor<Result>(method: "once" | "transaction", key: string, work: () => Promise<unknown>): Promise<Result> {
    if (!isKey(key)) {
      const shown = JSON.stringify(key)?.slice(0, 100);
      return Promise.reject(
        new TypeError(`ctx.${method}: a key is text of 1 to ${MAX_KEY_LENGTH} characters without NUL, not ${shown}`),
      );
    }
    let result = results.get(key);
    if (result === undefined) {
      result = work();
      results.set(key, result);
      // What failed has no record, so it may be tried again, in this attempt or in a later one.
      result.catch(() => results.delete(key));
    }
    return result as Promise<Result>;
  }

  return {
    once: (key, fn) => onceFor("once", key, () => run(key, fn)),
    transaction: (key, signal, fn) =>
      onceFor("transaction", key, async () => {
        if (Object.keys(handler.migrations).length === 0) {
          throw new TypeError("ctx.transaction: the handler has no schema, give it `migrations`");
        }
        return transactions.alone(() => {
          const committed = commit(key, signal, fn);
          recording.add(committed);
          return committed.finally(() => recording.delete(committed));
        });
      }),
    async finished() {
      await Promise.all(results.values());
    },
    async close() {
      closed = true;
      await Promise.allSettled(recording);
    },
    outage: () => outage,
  };
}

function isKey(key: unknown): key is string {
  return typeof key === "string" && key.length > 0 && key.length <= MAX_KEY_LENGTH && !key.includes("\0");
}

/**
 * What cannot be written as JSON is recorded all the same, as null: it is done, and must not be done again only because
 * its result cannot be kept.
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
