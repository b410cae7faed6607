export { openAccountsDatabase } from "./accounts/accounts-database.ts";
export { createApiToken, findApiToken, listApiTokens, revokeApiToken } from "./accounts/api-tokens.ts";
export { beginIdempotent, endIdempotent, forgetIdempotent } from "./accounts/idempotency-keys.ts";
export {
  addPerson,
  changePerson,
  ensureAdmin,
  findPerson,
  hasPassword,
  isDisabled,
  listPeople,
  type Person,
  recordSignInChange,
  type RoleName,
  updateSelf,
} from "./accounts/people.ts";
export { createSignInLink, useSignInLink } from "./accounts/sign-in-links.ts";
export { CHANGEABLE, changeDeliveries, type DeliveryChange } from "./deliveries/change-deliveries.ts";
export { type Changes, changeAllDeliveries } from "./deliveries/change-all-deliveries.ts";
export { recoverEndpoint } from "./endpoints/recover-endpoint.ts";
export { type EndpointPulse, readEndpointPulses } from "./endpoints/endpoint-pulse.ts";
export { type ErrorGroup, type HandlerPace, listErrorGroups, readHandlerPaces } from "./handlers/handler-pace.ts";
export { unblockLane, type UnblockOutcome } from "./operators/unblock-lane.ts";
export { type DatabaseState, readDatabase } from "./operators/read-database.ts";
export { readServer, type ServerState } from "./operators/read-server.ts";
export { type AuditFilter, type AuditRow, listAudit, recordAudit } from "./operators/audit-log.ts";
export { cancelOrphaned } from "./endpoints/cancel-orphaned.ts";
export { cancelReplay, type CancelledReplay } from "./replay/cancel-replay.ts";
export { countReplay, REPLAY_COUNT_LIMIT, type ReplayCount } from "./replay/count-replay.ts";
export { createEngineStore } from "./engine/create-engine-store.ts";
export { createQueuePool } from "./connection/create-queue-pool.ts";
export { createReplay, type NewReplay, type ReplayOutcome } from "./replay/create-replay.ts";
export { toNewReplay, type WantedReplay } from "./replay/to-new-replay.ts";
export { type DryRunRow, endDryRun, requestDryRun, showDryRun, takeDryRun } from "./replay/dry-runs.ts";
export { createStore, type Store, type StoreOptions } from "./connection/create-store.ts";
export {
  CommitFailedError,
  CursorAheadError,
  DatabaseUnavailableError,
  ForbiddenStatementError,
  HandlerAccessError,
  MigrationFailedError,
  MigrationsPendingError,
} from "./connection/errors.ts";
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
  revealEndpointSecret,
  rotateEndpointSecret,
  updateEndpoint,
} from "./endpoints/endpoints.ts";
export { dismissQuarantined } from "./operators/dismiss-quarantined.ts";
export { findDueHandlers } from "./deliveries/find-due-handlers.ts";
export { findDueEndpoints } from "./endpoints/find-due-endpoints.ts";
export { findUnqueuedBatches } from "./events/find-unqueued-batches.ts";
export { findHandlerRoles, type HandlerRoles } from "./handlers/handler-roles.ts";
export { commitBatch } from "./events/insert-batch.ts";
export { DELIVERY_STATES, type DeliveryFilter, type DeliveryStateName } from "./deliveries/delivery-filter.ts";
export { findTailStart } from "./events/find-tail-start.ts";
export { findEvents, type EventPointer } from "./events/find-events.ts";
export { readArrival } from "./events/read-arrival.ts";
export { COPY_COUNT_LIMIT, findRelated, type RelatedEvents } from "./events/find-related.ts";
export { findOfTypes, type FoundEvent } from "./events/find-of-types.ts";
export { type DeliveryCursor, type DeliveryRow, listDeliveries } from "./deliveries/list-deliveries.ts";
export { type DeliverySummary, type EventSummary } from "./events/event-summary.ts";
export { type AttemptSummary, type EventDetail, showEvents } from "./events/show-events.ts";
export { countEvents, EVENT_COUNT_LIMIT, type EventHistogram } from "./search/count-events.ts";
export { type EventFilter, listEvents, toTerms } from "./search/list-events.ts";
export { listKnownValues } from "./search/known-values.ts";
export { type EventPage, type EventSearch, searchEvents } from "./search/search-events.ts";
export { LANE_COUNT_LIMIT, type LaneFilter, type LaneRow, type LaneState, listLanes } from "./deliveries/list-lanes.ts";
export { listEffects } from "./deliveries/list-effects.ts";
export { listReplays, type ReplayDetail, type ReplayRow, showReplay } from "./replay/list-replays.ts";
export { assertMigrated } from "./schema/assert-migrated.ts";
export { assertUsable, hasTransactions, migrate, MINIMUM_POSTGRES } from "./schema/migrate.ts";
export { ensurePartitions } from "./schema/partitions.ts";
export {
  addSourceSecret,
  listSourceSecrets,
  removeSourceSecret,
  resealSourceSecret,
  revealSourceSecret,
  rotateSourceSecret,
  SOURCE_SECRET_LIMIT,
  type SourceSecretRow,
} from "./sources/source-secrets.ts";
export { listRefusedRequests, REFUSED_KEPT, type RefusedRow } from "./sources/refused-requests.ts";
export { readAnswerTimes } from "./events/acknowledgement-times.ts";
export { listSourceActivity } from "./sources/source-activity.ts";
export { commitFetched, findMissed } from "./sources/reconcile.ts";
export { readSilence, type SourceSilence, type WatchedSource } from "./sources/source-silence.ts";
export { noteSilentSources } from "./issues/note-silent.ts";
export { readLiveSecrets } from "./sources/live-secrets.ts";
export { rehearse } from "./replay/rehearse.ts";
export { listSubscribers } from "./handlers/list-subscribers.ts";
export { observeBacklog } from "./events/observe-backlog.ts";
export { readBacklog } from "./events/read-backlog.ts";
export {
  countWaiting,
  type HandlerRow,
  listHandlers,
  markHandlersSeen,
  pauseHandler,
  type PauseOutcome,
  removeHandler,
  type WaitingCount,
} from "./handlers/registered-handlers.ts";
export { type AttemptRow, type DeliveryDetail, hasStart, isTry, showDeliveries } from "./deliveries/show-deliveries.ts";
export {
  type EventTail,
  readLastSeq,
  type TailedEvent,
  tailEvents,
  type TailFilter,
  type TailPage,
} from "./events/tail-events.ts";
export { advanceIssues, resolveSettledIssues } from "./issues/advance-issues.ts";
export { addIssueChannel, type IssueDigest, noteNotTold, noteTold, takeIssueDigest } from "./issues/issue-notices.ts";
export { changeIssue, ISSUE_CHANGES, type IssueChange, type IssueChangeOutcome } from "./issues/change-issue.ts";
export {
  ISSUE_COUNT_LIMIT,
  type IssueDetail,
  type IssueFilter,
  type IssueRow,
  listIssues,
  showIssue,
} from "./issues/list-issues.ts";
export { countIssueRetry, retryIssue } from "./issues/retry-issue.ts";
export { countFailures, type FailuresOf } from "./issues/count-failures.ts";
export { type RetentionPolicy, readPolicy, tellPolicy, termOf, type ToldPolicy } from "./retention/policy.ts";
export { type PlannedDay, planRetention, type RetentionPlan } from "./retention/plan-retention.ts";
export { heldDays, isRetentionHalfDone, type RetentionRun, runRetention } from "./retention/run-retention.ts";
export { REST_COUNT_LIMIT, type RestCount } from "./retention/forget-rest.ts";
export { type GoneDay } from "./retention/let-day-go.ts";
export { type ArchivedEvent, toNewEvent } from "./archive/archived-event.ts";
export {
  type ArchivedPart,
  type ArchiveRecord,
  type ArchiveSummary,
  covers,
  findArchive,
  listArchives,
  listUnarchived,
  readSpan,
  recordArchive,
  recordVerification,
  summariseArchives,
  withArchiveLock,
} from "./archive/archives.ts";
export { leaveOutKnown } from "./archive/leave-out-known.ts";
export { readDay } from "./archive/read-day.ts";
export { readMatching } from "./archive/read-matching.ts";
export { type Restored, restoreEvents } from "./archive/restore-events.ts";
export { findGone, type GoneEvent } from "./retention/find-gone.ts";
export { observeStorage } from "./retention/observe-storage.ts";
export { advanceErasure, endHandlersStep } from "./erase/advance-erasure.ts";
export { createArchiveEraser } from "./erase/erase-archived.ts";
export {
  createErasure,
  type ErasedByHandler,
  type ErasureJob,
  type ErasureRow,
  listErasures,
  noteHandlerErased,
  putErasureBack,
  renewErasure,
  showErasure,
  takeErasure,
} from "./erase/erasures.ts";
export { ERASURE_COUNT_LIMIT, type ErasurePlan, planErasure } from "./erase/plan-erasure.ts";
export { type ErasedValue, isAnywhere, LEAST_CHARACTERS } from "./erase/wanted.ts";
