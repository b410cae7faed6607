// What ingest needs of the store, and no more: the rest brings Kysely, 28 MB of memory.
export { assertMigrated } from "./assert-migrated.ts";
export { createQueuePool } from "./create-queue-pool.ts";
export { createStore, type Store } from "./create-store.ts";
export { commitBatch } from "./insert-batch.ts";
export { observeBacklog } from "./observe-backlog.ts";
