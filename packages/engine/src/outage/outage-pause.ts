import { setTimeout as delay } from "node:timers/promises";
import type { EngineContext } from "../contract/engine-context.ts";
import { codeOf, describeError, isTransient } from "./errors.ts";

type OutageContext = Pick<EngineContext, "store" | "signal" | "log" | "logOutage">;

const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * Makes the pause before something is tried again that was nobody's fault: until Postgres answers, and each time longer,
 * since a Postgres whose disk is full answers at once and would be asked again in a hot loop.
 *
 * @throws the signal's reason when the engine's signal is aborted meanwhile.
 */
export function createOutagePause(engine: OutageContext) {
  let waitMs = FIRST_MS;
  return async function pause(error: unknown): Promise<void> {
    const { store, signal, log } = engine;
    engine.logOutage(() => {
      log.warn(
        { code: codeOf(error), ...describeError(error) },
        "Postgres cannot go on, work waits and is tried again",
      );
    });
    // Rejects with an error of its own when it is aborted; what follows rejects with the signal's.
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, LONGEST_MS);
    await store.waitUntilAvailable(signal);
  };
}

/** Does something that must not be left undone: see `retryUntilStop`, and one last time when the worker stops. */
export function retryPastStop<T>(engine: OutageContext, work: () => Promise<T>): Promise<T> {
  return tryAgain(engine, work, { atLast: true });
}

/**
 * Does something again while it fails by nobody's fault: once Postgres can go on and no other transaction is in the way.
 *
 * @throws the signal's reason when the engine's signal is aborted meanwhile.
 */
export function retryUntilStop<T>(engine: OutageContext, work: () => Promise<T>): Promise<T> {
  return tryAgain(engine, work, { atLast: false });
}

async function tryAgain<T>(engine: OutageContext, work: () => Promise<T>, { atLast }: { atLast: boolean }): Promise<T> {
  const pause = createOutagePause(engine);
  for (;;) {
    const isLast = engine.signal.aborted;
    if (!atLast) engine.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (isLast || !isTransient(error)) throw error;
      await pause(error).catch(() => undefined); // aborted: the next round is the last, or none
    }
  }
}
