/** How long a batch tops up no claim, in milliseconds. */
const FOR_MS = 60_000;

/** Batches that top up no claim for a while, since they could not be recorded. Their own jobs still claim them. */
export interface SetAside {
  add(batch: number): void;
  /** The batches that are set aside now. */
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
