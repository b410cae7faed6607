export { assertSources } from "./handler/assert-sources.ts";
export { createEngine, type Engine, type EngineOptions } from "./create-engine.ts";
export type { DeliveryState } from "./contract/delivery-state.ts";
export type { BatchReport } from "./delivery/delivery-result.ts";
export { dryRun, type DryRunReport, type DryRunStore, type Rehearsal, type TableChanges } from "./replay/dry-run.ts";
export type { EngineLog, Outbound } from "./contract/engine-context.ts";
export type {
  AttemptOutcome,
  BatchClaim,
  Claim,
  ClaimedBatches,
  ClaimedDelivery,
  ClaimedEffect,
  DeliveryResult,
  EndpointDelivery,
  EndpointDisablement,
  EndpointHealth,
  EndpointSubscription,
  EngineStore,
  EngineTransaction,
  FinishedDelivery,
  LanePlace,
  LaneRule,
  LockedDelivery,
  ObservedStatement,
  LeasedEndpoint,
  QuarantineRecord,
  Reclaimed,
  Registered,
  RegisteredHandler,
  ReplayPage,
  SavepointOutcome,
  StoredEvent,
} from "./contract/engine-store.ts";
export { loadConfig, LoadConfigError } from "./handler/load-config.ts";
export { runErase } from "./handler/run-erase.ts";
export type { BatchPointer } from "./batch/process-batch.ts";
export type { StartedEffects } from "./executors/effect.ts";
export { nextStep, type NextStep } from "./delivery/retry-policy.ts";
