import { setTimeout as delay } from "node:timers/promises";

/** Ends the pause of a loop; rung while its work is under way, the next pause. */
export interface Bell {
  ring(): void;
  /** Resolves when it rings, or has since the last time, or after `ms`, or when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  let rung = false;
  let wake = new AbortController();
  return {
    ring() {
      rung = true;
      wake.abort();
    },
    async wait(ms, signal) {
      wake = new AbortController();
      const ended = AbortSignal.any([signal, wake.signal]);
      if (!rung) await delay(ms, undefined, { signal: ended }).catch(() => undefined);
      rung = false;
    },
  };
}

/**
 * Does some work again and again until the signal is aborted, with a pause of `everyMs` (± 20 %, so that workers do not
 * march in step) in between, which the bell cuts short. Work that returns `true` has more to do and is called again at
 * once. Errors are the callback's; they never end the loop.
 */
export async function repeat(
  everyMs: number,
  signal: AbortSignal,
  work: () => Promise<boolean | void>,
  onError: (error: unknown) => void,
  bell = createBell(),
): Promise<void> {
  while (!signal.aborted) {
    let more: boolean | void = false;
    try {
      more = await work();
    } catch (error) {
      onError(error);
    }
    if (more === true) continue;
    await bell.wait(everyMs * (0.8 + Math.random() * 0.4), signal);
  }
}
