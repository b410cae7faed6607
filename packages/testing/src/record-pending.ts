/** What of the store of the engine is needed. */
interface RecordingStore {
  transaction<T>(fn: (tx: RecordingTransaction) => Promise<T>): Promise<T>;
}

interface RecordingTransaction {
  claimBatches(claim: { batches: readonly number[]; maxEvents: number; maxBytes: number }): Promise<{
    readonly batches: readonly number[];
    readonly events: readonly unknown[];
    readonly duplicates: number;
    readonly conflicts: number;
  }>;
}

/** What was found of events once they were recorded. */
export interface Recorded {
  readonly events: number;
  readonly duplicates: number;
  readonly conflicts: number;
}

/** Records what is pending as workers do, and runs no handler for it: then duplicates are gone. */
export async function recordPending(store: RecordingStore): Promise<Recorded> {
  const recorded = { events: 0, duplicates: 0, conflicts: 0 };
  for (let left = true; left;) {
    const claim = { batches: [], maxEvents: 1_000, maxBytes: 4 * 1_048_576 };
    const { batches, events, duplicates, conflicts } = await store.transaction((tx) => tx.claimBatches(claim));
    left = batches.length > 0;
    recorded.events += events.length;
    recorded.duplicates += duplicates;
    recorded.conflicts += conflicts;
  }
  return recorded;
}
