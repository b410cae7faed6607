/** How fast something may go on: a bucket of a second, which fills by itself. */
export interface Pace {
  /** How many may begin now. */
  room(): number;
  took(count: number): void;
  /** How long until one may begin, in milliseconds; 0: now. */
  waitMs(): number;
}

const UNLIMITED: Pace = { room: () => Infinity, took: () => undefined, waitMs: () => 0 };

/** Keeps the pace of each by its name, from one time that it is asked for to the next. */
export function createPaces(
  now: () => number = () => performance.now(),
): (name: string, perSecond: number | null) => Pace {
  const buckets = new Map<string, { left: number; at: number }>();
  return (name, perSecond) => {
    if (perSecond === null) return UNLIMITED;
    const bucket = buckets.get(name) ?? { left: perSecond, at: now() };
    buckets.set(name, bucket);
    const fill = (): void => {
      const at = now();
      bucket.left = Math.min(perSecond, bucket.left + ((at - bucket.at) * perSecond) / 1_000);
      bucket.at = at;
    };
    return {
      room() {
        fill();
        return Math.floor(bucket.left);
      },
      took(count) {
        bucket.left -= count;
      },
      waitMs() {
        fill();
        return bucket.left >= 1 ? 0 : Math.ceil(((1 - bucket.left) * 1_000) / perSecond);
      },
    };
  };
}
