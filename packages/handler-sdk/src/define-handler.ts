import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import type { Migration } from "kysely/migration";
import type { BatchContext, HandlerContext } from "./context.ts";
import { HandlerDefinitionError } from "./errors.ts";
import type { EventOf, EventType } from "./event.ts";

/** When and how often a failed delivery is tried again: exponential with full jitter. */
export interface RetryPolicy {
  /** Tries in all, the first included, before the delivery is dead. */
  readonly attempts: number;
  /** The ceiling of the wait before the second try, in milliseconds; it doubles with each try. */
  readonly baseMs: number;
  /** The most a wait can be, in milliseconds. */
  readonly capMs: number;
}

/** What a handler package declares. `DB` is the Kysely interface of the tables it uses. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a handler that names no tables may use any
export interface HandlerDefinition<T extends EventType, DB = any> {
  /** Unique; lower-case letters, digits and dashes. It names the handler in tables, logs and the CLI: never change it. */
  readonly name: string;
  /** The event types it wants. */
  readonly on: readonly T[];
  /** Handles one event. Must be safe to call again after it has failed. */
  handle(event: EventOf<T>, ctx: HandlerContext<DB>): Promise<void> | void;
  /**
   * Handles many events at once, for speed: one statement for all instead of one each. Events come sorted by subject
   * and then by arrival. When it throws, `handle` is called event by event to find the culprit, so both must agree.
   */
  handleBatch?(events: readonly EventOf<T>[], ctx: BatchContext<DB>): Promise<void> | void;
  /** The Postgres schema that holds the handler's tables; its name with `_` for `-` unless given. */
  readonly schema?: string;
  /** Kysely migrations of the handler's own schema, by name, applied in the order of their names. */
  readonly migrations?: Readonly<Record<string, Migration>>;
  /** Tries after a failure; 10 tries, 1 s doubling up to 1 h unless given. */
  readonly retry?: Partial<RetryPolicy>;
  /** How long one call of `handle` or `handleBatch` may take, in milliseconds; 10,000 unless given. */
  readonly timeoutMs?: number;
}

/** A checked handler with its defaults filled in. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers of all kinds stand in one list
export interface Handler<T extends EventType = any, DB = any> {
  readonly name: string;
  readonly kind: "transactional";
  readonly on: readonly T[];
  readonly schema: string;
  readonly migrations: Readonly<Record<string, Migration>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  handle(event: EventOf<T>, ctx: HandlerContext<DB>): Promise<void> | void;
  handleBatch?(events: readonly EventOf<T>[], ctx: BatchContext<DB>): Promise<void> | void;
}

const NAME = /^[a-z][a-z0-9-]{0,47}$/;
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/;
const TAKEN_SCHEMAS = new Set(["penstock", "bullmq", "public", "information_schema"]);

/**
 * Declares a handler. Types follow `on`: a handler of one type sees exactly that event, one of two their union.
 *
 * @throws HandlerDefinitionError when the name, the types or the numbers cannot work.
 * @example
 * interface Tables { replies: { message_id: string; body: string } }
 * export default defineHandler({
 *   name: "replies",
 *   on: ["message.received"],
 *   async handle(event, ctx: HandlerContext<Tables>) {
 *     await ctx.tx.insertInto("replies").values({ message_id: event.data.messageId, body: "hello" }).execute();
 *   },
 * });
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see HandlerDefinition
export function defineHandler<const T extends EventType, DB = any>(
  definition: HandlerDefinition<T, DB>,
): Handler<T, DB> {
  const { name, on, handle, handleBatch, migrations = {}, timeoutMs = 10_000 } = definition;
  const refuse = (why: string): never => {
    throw new HandlerDefinitionError(`handler ${JSON.stringify(name)}: ${why}`);
  };
  if (typeof name !== "string" || !NAME.test(name)) {
    refuse("a name is lower-case letters, digits and dashes, starts with a letter, 48 at most");
  }
  if (!Array.isArray(on) || on.length === 0) refuse("`on` must list at least one event type");
  if (new Set(on).size !== on.length) refuse("`on` lists an event type twice");
  const unknown = on.filter((type: string) => !(BUZZBIP_EVENT_TYPES as readonly string[]).includes(type));
  if (unknown.length > 0) {
    refuse(`unknown event type ${unknown.join(", ")}; known are ${BUZZBIP_EVENT_TYPES.join(", ")}`);
  }
  if (typeof handle !== "function") refuse("`handle(event, ctx)` is missing");
  if (handleBatch !== undefined && typeof handleBatch !== "function") refuse("`handleBatch` is not a function");
  const schema = definition.schema ?? name.replaceAll("-", "_");
  if (!SCHEMA.test(schema) || TAKEN_SCHEMAS.has(schema) || schema.startsWith("pg_")) {
    refuse(`schema ${JSON.stringify(schema)} is not a plain lower-case identifier or is taken; set another \`schema\``);
  }
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 30_000) {
    refuse("`timeoutMs` must be a whole number from 1 to 30000");
  }
  const retry: RetryPolicy = { attempts: 10, baseMs: 1_000, capMs: 3_600_000, ...definition.retry };
  for (const [key, value] of Object.entries(retry)) {
    if (!Number.isInteger(value) || value < 1) refuse(`\`retry.${key}\` must be a whole number of at least 1`);
  }
  return Object.freeze({
    name,
    kind: "transactional" as const,
    on: Object.freeze([...on]),
    schema,
    migrations: Object.freeze({ ...migrations }),
    retry: Object.freeze(retry),
    timeoutMs,
    handle,
    ...(handleBatch ? { handleBatch } : {}),
  });
}
