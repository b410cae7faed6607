/** A token bucket that holds one second's worth of starts. */
export interface RateLimiter {
  /** How many may start now. */
  available(): number;
  take(count: number): void;
  /** How long until one may start, in milliseconds; 0 when one may start now. */
  waitMs(): number;
}

const UNLIMITED: RateLimiter = { available: () => Infinity, take: () => undefined, waitMs: () => 0 };

/** Keeps one bucket per name, so that a limiter that is asked for again goes on where it was. */
export function createRateLimiters(
  now: () => number = () => performance.now(),
): (name: string, perSecond: number | null) => RateLimiter {
  const buckets = new Map<string, { tokens: number; filledAt: number }>();
  return (name, perSecond) => {
    if (perSecond === null) return UNLIMITED;
    const bucket = buckets.get(name) ?? { tokens: perSecond, filledAt: now() };
    buckets.set(name, bucket);
    const fill = (): void => {
      const at = now();
      bucket.tokens = Math.min(perSecond, bucket.tokens + ((at - bucket.filledAt) * perSecond) / 1_000);
      bucket.filledAt = at;
    };
    return {
      available() {
        fill();
        return Math.floor(bucket.tokens);
      },
      take(count) {
        bucket.tokens -= count;
      },
      waitMs() {
        fill();
        return bucket.tokens >= 1 ? 0 : Math.ceil(((1 - bucket.tokens) * 1_000) / perSecond);
      },
    };
  };
}
