/** Handlers that were too slow for the shared transaction: for a while their events become deliveries of their own. */
export interface Demotions {
  add(handler: string): void;
  has(handler: string): boolean;
}

/** Keeps a demotion for `forMs`, then gives the handler another chance. */
export function createDemotions(forMs = 60_000, now: () => number = Date.now): Demotions {
  const until = new Map<string, number>();
  return {
    add: (handler) => void until.set(handler, now() + forMs),
    has: (handler) => (until.get(handler) ?? 0) > now(),
  };
}
