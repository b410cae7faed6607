export { CHANGEABLE, changeDeliveries, type DeliveryChange } from "./change-deliveries.ts";
export { cancelOrphaned } from "./cancel-orphaned.ts";
export { cancelReplay, type CancelledReplay } from "./cancel-replay.ts";
export { countReplay, REPLAY_COUNT_LIMIT, type ReplayCount } from "./count-replay.ts";
export { createEngineStore } from "./create-engine-store.ts";
export { createQueuePool } from "./create-queue-pool.ts";
export { createReplay, type NewReplay, type ReplayOutcome } from "./create-replay.ts";
export { createStore, type Store, type StoreOptions } from "./create-store.ts";
export {
  CommitFailedError,
  CursorAheadError,
  DatabaseUnavailableError,
  ForbiddenStatementError,
  HandlerAccessError,
  MigrationFailedError,
  MigrationsPendingError,
} from "./errors.ts";
export {
  createEndpoint,
  deleteEndpoint,
  ENDPOINT_COUNT_LIMIT,
  type EndpointRow,
  type EndpointStatus,
  listEndpoints,
  readEndpointSecrets,
  resealEndpointSecrets,
  resumeEndpoint,
  rotateEndpointSecret,
  updateEndpoint,
} from "./endpoints.ts";
export { dismissQuarantined } from "./dismiss-quarantined.ts";
export { findDueHandlers } from "./find-due-handlers.ts";
export { findDueEndpoints } from "./find-due-endpoints.ts";
export { findUnqueuedBatches } from "./find-unqueued-batches.ts";
export { findHandlerRoles, type HandlerRoles } from "./handler-roles.ts";
export { commitBatch } from "./insert-batch.ts";
export { DELIVERY_STATES, type DeliveryFilter, type DeliveryStateName } from "./delivery-filter.ts";
export { findTailStart } from "./find-tail-start.ts";
export { findEvents, type EventPointer } from "./find-events.ts";
export { findOfTypes, type FoundEvent } from "./find-of-types.ts";
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
export { assertMigrated } from "./assert-migrated.ts";
export { assertUsable, hasTransactions, migrate, MINIMUM_POSTGRES } from "./migrate.ts";
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
export { type AttemptRow, type DeliveryDetail, hasStart, isTry, showDeliveries } from "./show-deliveries.ts";
export {
  type EventTail,
  readLastSeq,
  type TailedEvent,
  tailEvents,
  type TailFilter,
  type TailPage,
} from "./tail-events.ts";
