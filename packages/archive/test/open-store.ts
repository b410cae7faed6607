import type { NewEvent } from "@penstock/intake";
import { commitBatch, createEngineStore, createStore, migrate, type Store } from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";

const open = (connectionString: string): Store =>
  createStore({ connectionString, applicationName: "archive-test", maxConnections: 6, sources: ["shop-eu"] });

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

/** An event as intake has it. */
export function newEvent(eventId: string, event: Partial<NewEvent> = {}): NewEvent {
  return {
    source: "shop-us",
    eventId,
    key: null,
    type: "order.paid",
    createdAt: new Date("2020-01-10T14:32:00.123Z"),
    subjects: ["cnt_1", "Grüße"],
    problem: null,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    bodyVaries: false,
    body: Buffer.from(eventId),
    replay: null,
    ...event,
  };
}

/** Stores events as one batch and records those that are new. */
export async function process(store: Store, events: readonly NewEvent[]): Promise<void> {
  const batches = [await commitBatch(store, events)];
  const worker = createEngineStore(store, "test");
  await worker.transaction((tx) => tx.claimBatches({ batches, onlyThese: true, maxEvents: 1_000, maxBytes: 1e9 }));
}
