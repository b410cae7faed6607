import { setTimeout as sleep } from "node:timers/promises";

/** How long and how often to try. */
export interface EventuallyOptions {
  timeoutMs?: number;
  intervalMs?: number;
}

/**
 * Runs `fn` until it does not throw, and gives what it returned; throws its last failure when the time is over.
 *
 * @example
 * await eventually(async () => expect(await countEvents()).toBe(3));
 */
export async function eventually<T>(
  fn: () => T | Promise<T>,
  { timeoutMs = 30_000, intervalMs = 25 }: EventuallyOptions = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await fn();
    } catch (error) {
      if (Date.now() + intervalMs > deadline) throw error;
    }
    await sleep(intervalMs);
  }
}
