// The part of the store that ingest needs: the rest loads Kysely, 28 MB of memory.
export { assertMigrated } from "./schema/assert-migrated.ts";
export { createQueuePool } from "./connection/create-queue-pool.ts";
export { createStore, type Store } from "./connection/create-store.ts";
export { commitBatch } from "./events/insert-batch.ts";
export {
  type LiveSecretRow,
  readLiveSecrets,
  recordSecretUses,
  registerEnvironmentSecrets,
  type SecretUse,
} from "./sources/live-secrets.ts";
export { type AnswerCounts, recordAnswers } from "./events/acknowledgement-times.ts";
export { keepRefusedRequests, type RefusedRequest } from "./sources/refused-requests.ts";
export { type Heard, recordSourceActivity } from "./sources/source-activity.ts";
export { observeBacklog } from "./events/observe-backlog.ts";
