const FIRST_MS = 1_000;
const MAX_MS = 30_000;
const STEADY_MS = 60_000;

/**
 * How long to wait before a process that has died is started again: 1 s, doubling up to 30 s, and 1 s again for one that
 * has lived for a minute. A minute of deaths in a row is a handful of starts, not a busy loop.
 */
export function createBackoff(): { afterLifeOf(livedMs: number): number } {
  let nextMs = FIRST_MS;
  return {
    afterLifeOf(livedMs) {
      const waitMs = livedMs >= STEADY_MS ? FIRST_MS : nextMs;
      nextMs = Math.min(waitMs * 2, MAX_MS);
      return waitMs;
    },
  };
}
