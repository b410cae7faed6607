export { CHANGEABLE, changeDeliveries, type DeliveryChange } from "./change-deliveries.ts";
export { createEngineStore } from "./create-engine-store.ts";
export { createQueuePool } from "./create-queue-pool.ts";
export { createStore, type Store, type StoreOptions } from "./create-store.ts";
export {
  CommitFailedError,
  DatabaseUnavailableError,
  ForbiddenStatementError,
  MigrationsPendingError,
} from "./errors.ts";
export { type DueDelivery, findDueDeliveries } from "./find-due-deliveries.ts";
export { findUnqueuedBatches } from "./find-unqueued-batches.ts";
export { insertEvents } from "./insert-events.ts";
export {
  DELIVERY_STATES,
  type DeliveryCursor,
  type DeliveryFilter,
  type DeliveryRow,
  type DeliveryStateName,
  listDeliveries,
} from "./list-deliveries.ts";
export {
  type AttemptSummary,
  type DeliverySummary,
  type EventDetail,
  type EventFilter,
  type EventSummary,
  listEvents,
  showEvents,
} from "./list-events.ts";
export { assertMigrated, migrate, MINIMUM_POSTGRES } from "./migrate.ts";
export { ensurePartitions } from "./partitions.ts";
export { observeBacklog } from "./observe-backlog.ts";
export {
  countWaiting,
  type HandlerRow,
  listHandlers,
  markHandlersSeen,
  pauseHandler,
  removeHandler,
  type WaitingCount,
} from "./registered-handlers.ts";
