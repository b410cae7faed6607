import type { EffectContext } from "@penstock/handler-sdk";
import type { EngineContext } from "./engine-context.ts";
import type { ClaimedEffect } from "./engine-store.ts";
import { isUnavailable, LeaseLostError } from "./errors.ts";
import { insist } from "./outage-pause.ts";

/** `ctx.once` of one attempt. */
export interface Once {
  readonly once: EffectContext["once"];
  /** Resolves once everything that was begun is done and recorded; rejects with the first failure. */
  finished(): Promise<void>;
  /** Nothing more is begun or recorded; resolves once the records that are under way are written. Never rejects. */
  close(): Promise<void>;
  /** What kept a record waiting for Postgres; undefined when nothing has. */
  outage(): unknown;
}

const MAX_KEY_LENGTH = 200;

/**
 * Makes the `ctx.once` of an attempt. A record is written only while the delivery is this attempt's: one that was given
 * up, or whose lease went to another worker, leaves none. While Postgres is away the record waits for it, also past the
 * handler's time: what was done is done.
 */
export function createOnce(engine: EngineContext, { delivery, done }: ClaimedEffect): Once {
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

  return {
    // The type is the handler's: what JSON makes of its result.
    once<Result>(key: string, fn: () => Promise<Result> | Result): Promise<Result> {
      if (!isKey(key)) {
        const shown = JSON.stringify(key)?.slice(0, 100);
        return Promise.reject(
          new TypeError(`ctx.once: a key is text of 1 to ${MAX_KEY_LENGTH} characters without NUL, not ${shown}`),
        );
      }
      let result = results.get(key);
      if (result === undefined) {
        result = run(key, fn);
        results.set(key, result);
        // What failed has no record, so it may be tried again, in this attempt or in a later one.
        result.catch(() => results.delete(key));
      }
      return result as Promise<Result>;
    },
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
