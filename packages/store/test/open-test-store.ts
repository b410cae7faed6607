import type { NewEvent } from "@penstock/intake";
import { commitBatch, createEngineStore, createStore, migrate, type Store, type StoreOptions } from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";

export function open(url: string, options: Partial<StoreOptions> = {}): Store {
  const usual = { applicationName: "store-test", maxConnections: 6, sources: ["buzzbip"] };
  return createStore({ connectionString: url, ...usual, ...options });
}

/** A store on a migrated database of its own. */
export async function openMigrated(): Promise<Store> {
  const { url } = await createTestDatabase({
    template: "store",
    migrate: async (template) => {
      const store = open(template);
      await migrate(store);
      await store.close();
    },
  });
  return open(url);
}

/** An event of source buzzbip as intake has it. */
export function newEvent(eventId: string, event: Partial<NewEvent> = {}): NewEvent {
  return {
    source: "buzzbip",
    eventId,
    key: null,
    type: "x",
    createdAt: new Date("2026-06-01T14:32:00Z"),
    subjects: ["cnt_1"],
    problem: null,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    bodyVaries: false,
    body: Buffer.from(eventId),
    replay: null,
    ...event,
  };
}

/** Stores events as one batch and records those that are new, as the worker does which claims it; returns how many those are. */
export async function process(store: Store, events: readonly NewEvent[]): Promise<number> {
  const batches = [await commitBatch(store, events)];
  const claim = { batches, onlyThese: true, maxEvents: 200, maxBytes: 1e9 };
  const worker = createEngineStore(store, "test");
  const { events: recorded } = await worker.transaction((tx) => tx.claimBatches(claim));
  await worker.writeWords();
  return recorded.length;
}
