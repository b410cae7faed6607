import { createStore, migrate, type Store } from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";

export function open(url: string): Store {
  return createStore({ connectionString: url, applicationName: "store-test", maxConnections: 6, sources: ["buzzbip"] });
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
