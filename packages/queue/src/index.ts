export type { QueueTuning } from "./create-queue.ts";
export {
  type ConsumeOptions,
  type EventQueue,
  type QueueConsumer,
  type QueuedBatches,
  type QueueServer,
  QueueUnavailableError,
} from "./event-queue.ts";
export { migrateQueue, openQueue, type OpenQueuePool } from "./open-queue.ts";
export { QUEUE_SCHEMA, type QueuePool } from "./postgres/postgres-backend.ts";
