export type { BatchContext, HandlerContext, HandlerLog } from "./context.ts";
export { defineConfig, type PenstockConfig } from "./define-config.ts";
export { defineHandler, type Handler, type HandlerDefinition, type RetryPolicy } from "./define-handler.ts";
export { HandlerDefinitionError, PermanentError, RetryAfterError } from "./errors.ts";
export type { AnyEvent, EventMeta, EventOf, EventType } from "./event.ts";
