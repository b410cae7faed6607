/** How long a batch is left to its own job, in milliseconds. */
const FOR_MS = 60_000;

/** Batches that are left alone for a while. */
export interface SetAside {
  add(batch: number): void;
  /** Those that are left alone now. */
  list(): number[];
}

export function createSetAside(now: () => number = () => performance.now()): SetAside {
  const until = new Map<number, number>();
  return {
    add: (batch) => void until.set(batch, now() + FOR_MS),
    list() {
      for (const [batch, end] of until) if (end <= now()) until.delete(batch);
      return [...until.keys()];
    },
  };
}
