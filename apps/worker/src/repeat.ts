import { setTimeout as delay } from "node:timers/promises";

/** Ends the pause of a loop; while the work of the loop is in flight, the next pause. */
export interface WakeSignal {
  wake(): void;
  /** Resolves at `wake`, or at once if there was one since the last wait; after `ms`; or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createWakeSignal(): WakeSignal {
  let isWoken = false;
  let pause = new AbortController();
  return {
    wake() {
      isWoken = true;
      pause.abort();
    },
    async wait(ms, signal) {
      pause = new AbortController();
      const ended = AbortSignal.any([signal, pause.signal]);
      if (!isWoken) await delay(ms, undefined, { signal: ended }).catch(() => undefined);
      isWoken = false;
    },
  };
}

/**
 * Does some work again and again until the signal is aborted, with a pause of `everyMs` in between that `wakeSignal` cuts
 * short (± 20 %, so that workers do not run in step). Work that returns `true` has more to do and is called again at once. An
 * error goes to `onError` and never ends the loop.
 */
export async function repeat(
  everyMs: number,
  signal: AbortSignal,
  work: () => Promise<boolean | void>,
  onError: (error: unknown) => void,
  wakeSignal = createWakeSignal(),
): Promise<void> {
  while (!signal.aborted) {
    let more: boolean | void = false;
    try {
      more = await work();
    } catch (error) {
      onError(error);
    }
    if (more === true) continue;
    await wakeSignal.wait(everyMs * (0.8 + Math.random() * 0.4), signal);
  }
}
