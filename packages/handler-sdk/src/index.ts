export type {
  BatchContext,
  EffectContext,
  EffectEraseContext,
  EraseContext,
  ErasedSubject,
  HandlerContext,
  HandlerLog,
  Replay,
} from "./context.ts";
export { defineConfig, type PenstockConfig } from "./define-config.ts";
export {
  defineHandler,
  type EffectDefinition,
  type EffectHandler,
  type Handler,
  type HandlerDefinition,
  type LaneOrder,
  type Lanes,
  type RateLimit,
  type RetryPolicy,
  type TransactionalHandler,
} from "./define-handler.ts";
export { env, type FromEnvironment } from "./env.ts";
export { HandlerDefinitionError, PermanentError, RetryAfterError } from "./errors.ts";
export type { AnyEvent, EventData, EventMeta, EventOf, EventType, OwnEventData, ProviderEventType } from "./event.ts";
export { fetchOk } from "./fetch-ok.ts";
export { fillUrl, isUrlTemplate } from "./fill-url.ts";
export { type OptionsSchema, parseOptions } from "./parse-options.ts";
export { sliceJson, sliceJsonItems } from "@penstock/schemas";
