import { setTimeout as delay } from "node:timers/promises";
import type { EngineContext } from "../contract/engine-context.ts";
import { codeOf, describeError, isTransient } from "./errors.ts";

type OutageContext = Pick<EngineContext, "store" | "signal" | "log" | "logOutage">;

const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * Makes the pause before work is tried again after a transient error: until Postgres answers, and longer each time, since a
 * Postgres with a full disk answers a ping at once.
 *
 * @throws the signal's reason when the engine's signal is aborted first.
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
    // An aborted delay rejects with an error of its own; the next line rejects with the signal's reason.
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, LONGEST_MS);
    await store.waitUntilAvailable(signal);
  };
}

/** Does work that must not be left undone: as `retryUntilStop`, and one last time when the engine's signal is aborted. */
export function retryPastStop<T>(engine: OutageContext, work: () => Promise<T>): Promise<T> {
  return tryAgain(engine, work, { pastStop: true });
}

/**
 * Does work, again and again while it fails with a transient error.
 *
 * @throws the signal's reason when the engine's signal is aborted first.
 */
export function retryUntilStop<T>(engine: OutageContext, work: () => Promise<T>): Promise<T> {
  return tryAgain(engine, work, { pastStop: false });
}

async function tryAgain<T>(
  engine: OutageContext,
  work: () => Promise<T>,
  { pastStop }: { pastStop: boolean },
): Promise<T> {
  const pause = createOutagePause(engine);
  for (;;) {
    const isLast = engine.signal.aborted;
    if (!pastStop) engine.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (isLast || !isTransient(error)) throw error;
      await pause(error).catch(() => undefined); // when aborted, the next round is the last one, or throws
    }
  }
}
