import type { PenstockConfig } from "@penstock/handler-sdk";
import type { StoreConfig } from "@penstock/schemas";
import { assertUsable, migrate, type Store } from "@penstock/store";
import { openQueuePool } from "./queue-job.ts";

/**
 * Brings a database up to date: the tables of Penstock, of each handler, and of the queue where it has some. Returns what
 * was applied; the queue, which keeps its own books, is not among it.
 */
export async function applyMigrations(store: Store, config: StoreConfig, plugged: PenstockConfig): Promise<string[]> {
  // Loaded when needed: it brings BullMQ with it.
  const { migrateQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const openPool = openQueuePool(config, QUEUE_SCHEMA);
  // Before ours are applied: a database that is refused must not leave the other half done.
  if (config.queue.kind === "postgres" && config.queue.url !== undefined) {
    const pool = openPool(config.queue.url, 1);
    try {
      await assertUsable(pool, "QUEUE_URL");
    } finally {
      await pool.end();
    }
  }
  const applied = await migrate(store, plugged.handlers);
  await migrateQueue(config.queue, openPool);
  return applied;
}
