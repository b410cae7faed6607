import { setTimeout as delay } from "node:timers/promises";

/**
 * Does some work again and again until the signal is aborted, with a pause of `everyMs` (± 20 %, so that workers do not
 * march in step) in between. Work that returns `true` has more to do and is called again at once. Errors are the
 * callback's; they never end the loop.
 */
export async function repeat(
  everyMs: number,
  signal: AbortSignal,
  work: () => Promise<boolean | void>,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    let more: boolean | void = false;
    try {
      more = await work();
    } catch (error) {
      onError(error);
    }
    if (more === true) continue;
    await delay(everyMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined);
  }
}
