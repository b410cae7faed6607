/** A limit per key, counted in this process. */
export interface RateLimit {
  /** Milliseconds until the key may go on; 0 when it may now. Spends nothing. */
  waitMs(key: string): number;
  /** Spends one. */
  spend(key: string): void;
}

const MAX_KEYS = 10_000;

/**
 * Allows each key `perSecond` on average and a burst of one second's worth (generic cell rate algorithm: one number per
 * key). 0 means no limit. Keeps the latest 10,000 keys.
 */
export function createRateLimit(perSecond: number, now: () => number = () => performance.now()): RateLimit {
  if (perSecond === 0) return { waitMs: () => 0, spend: () => undefined };
  const spacingMs = 1_000 / perSecond;
  const burstMs = 1_000;
  const fullAt = new Map<string, number>();
  return {
    waitMs: (key) => Math.max(0, (fullAt.get(key) ?? 0) + spacingMs - now() - burstMs),
    spend(key) {
      const next = Math.max(fullAt.get(key) ?? 0, now()) + spacingMs;
      // Deleted first, so that the map stays in the order of use and the one unused for longest goes.
      fullAt.delete(key);
      fullAt.set(key, next);
      if (fullAt.size > MAX_KEYS) {
        const [oldest] = fullAt.keys();
        if (oldest !== undefined) fullAt.delete(oldest);
      }
    },
  };
}
