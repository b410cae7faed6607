export { CHANGEABLE, changeDeliveries, type DeliveryChange } from "./change-deliveries.ts";
export { cancelReplay, type CancelledReplay } from "./cancel-replay.ts";
export { createEngineStore } from "./create-engine-store.ts";
export { createQueuePool } from "./create-queue-pool.ts";
export { createReplay, type NewReplay, type ReplayOutcome } from "./create-replay.ts";
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
export { DELIVERY_STATES, type DeliveryFilter, type DeliveryStateName } from "./delivery-filter.ts";
export { findEvents, type EventPointer } from "./find-events.ts";
export { type DeliveryCursor, type DeliveryRow, listDeliveries } from "./list-deliveries.ts";
export {
  type AttemptSummary,
  type DeliverySummary,
  type EventDetail,
  type EventFilter,
  type EventSummary,
  listEvents,
  showEvents,
} from "./list-events.ts";
export { LANE_COUNT_LIMIT, type LaneFilter, type LaneRow, type LaneState, listLanes } from "./list-lanes.ts";
export { listEffects } from "./list-effects.ts";
export { listReplays, type ReplayDetail, type ReplayRow, showReplay } from "./list-replays.ts";
export { assertMigrated, migrate, MINIMUM_POSTGRES } from "./migrate.ts";
export { ensurePartitions } from "./partitions.ts";
export { rehearse } from "./rehearse.ts";
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
export { type AttemptRow, type DeliveryDetail, showDeliveries } from "./show-deliveries.ts";
