export { createEngine, type Engine, type EngineOptions } from "./create-engine.ts";
export type { BatchReport } from "./delivery-result.ts";
export type { EngineLog } from "./engine-context.ts";
export type {
  AttemptOutcome,
  ClaimedBatch,
  ClaimedDelivery,
  DeliveryResult,
  DeliveryState,
  EngineStore,
  EngineTransaction,
  QuarantineRecord,
  RegisteredHandler,
  SavepointOutcome,
  StoredEvent,
} from "./engine-store.ts";
export type { BatchPointer } from "./process-batch.ts";
export { nextStep, type NextStep } from "./retry-policy.ts";
