import { KNOWN_EVENT_TYPES } from "@penstock/schemas";
import type { Migration } from "kysely/migration";
import type {
  BatchContext,
  EffectContext,
  EffectEraseContext,
  EraseContext,
  ErasedSubject,
  HandlerContext,
} from "./context.ts";
import { HandlerDefinitionError } from "./errors.ts";
import type { EventOf, EventType } from "./event.ts";

/**
 * When and how often a failed delivery is tried again: exponential with full jitter, or after waits that are listed.
 */
export interface RetryPolicy {
  /** Tries in all, the first included, before the delivery is dead. */
  readonly attempts: number;
  /** The ceiling of the wait before the second try, in milliseconds; it doubles with each try. */
  readonly baseMs: number;
  /** The most a wait can be, in milliseconds; also of one that a RetryAfterError asks for. */
  readonly capMs: number;
  /** The waits themselves, in milliseconds and in order, instead of `baseMs`; with them there are as many tries plus one. */
  readonly scheduleMs?: readonly number[];
}

/** How often a handler may start, over all workers. */
export interface RateLimit {
  readonly max: number;
  readonly perMs: number;
}

/** In which order the deliveries of a lane take effect. */
export type LaneOrder = "strict" | "newest-wins";

interface CommonDefinition<T extends EventType> {
  /** Unique; lower-case letters, digits and dashes. It names the handler in tables, logs and the CLI: never change it. */
  readonly name: string;
  /** The event types it wants. */
  readonly on: readonly T[];
  /** The Postgres schema that holds the handler's tables; its name with `_` for `-` unless given. */
  readonly schema?: string;
  /** Kysely migrations of the handler's own schema, by name, applied in the order of their names. */
  readonly migrations?: Readonly<Record<string, Migration>>;
  /** Tries after a failure; 10 tries, 1 s doubling up to 1 h unless given. */
  readonly retry?: Partial<RetryPolicy>;
  /**
   * The lane of an event, e.g. its conversation: events of one lane are handled one at a time and in `order`, by `createdAt`
   * and then by arrival; lanes do not stop each other. Null is no lane. Any text will do, of any length; it must depend on
   * the event alone. With a lane, events are handled one by one and not in the batch they came with.
   */
  lane?(event: EventOf<T>): string | null;
  /**
   * `strict` (unless given): the oldest of what waits goes first, and while it fails, the rest of its lane waits.
   * `newest-wins`: the newest goes first, and what is older than what has been handled is skipped.
   */
  readonly order?: LaneOrder;
  /** Whether a dead letter blocks its strict lane until an operator skips or repairs it (unless given), or is passed by. */
  readonly onDead?: "block" | "continue";
}

/** What the package of a transactional handler declares. `DB` is the Kysely interface of the tables it uses. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a handler that names no tables may use any
export interface HandlerDefinition<T extends EventType, DB = any> extends CommonDefinition<T> {
  readonly kind?: "transactional";
  /** Handles one event. Must be safe to call again after it has failed. */
  handle(event: EventOf<T>, ctx: HandlerContext<DB>): Promise<void> | void;
  /**
   * Handles many events at once, for speed: one statement for all instead of one each. Events come sorted by subject
   * and then by arrival. When it throws, `handle` is called event by event to find the culprit, so both must agree.
   */
  handleBatch?(events: readonly EventOf<T>[], ctx: BatchContext<DB>): Promise<void> | void;
  /**
   * Erases what the handler has kept of a person, when an operator asks for that (`penstock erase`). Must be safe to call again.
   * Events of the person are gone by then.
   */
  erase?(subject: ErasedSubject, ctx: EraseContext<DB>): Promise<void> | void;
  /** How long one call of `handle`, `handleBatch` or `erase` may take, in milliseconds; 10,000 unless given, 30,000 at most. */
  readonly timeoutMs?: number;
  /** Schemas beside its own that `ctx.tx` may read, e.g. that of another handler: `["inbox"]`. It can see no others. */
  readonly reads?: readonly string[];
  /** Schemas beside its own that `ctx.tx` may read and write, e.g. that of your application. */
  readonly writes?: readonly string[];
}

/**
 * What the package of an effect handler declares: one that talks to the world outside of Postgres. `DB` is the Kysely
 * interface of the tables that it keeps, if any.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see HandlerDefinition
export interface EffectDefinition<T extends EventType, DB = any> extends CommonDefinition<T> {
  readonly kind: "effect";
  /**
   * Handles one event, outside of any transaction. Must be safe to call again after it has failed, or after its process
   * died: `ctx.once` keeps what was done from being done again.
   */
  handle(event: EventOf<T>, ctx: EffectContext<DB>): Promise<void> | void;
  /**
   * Erases what the handler has kept of a person, or has told others of, when an operator asks for that (`penstock erase`). Must
   * be safe to call again. Events of the person are gone by then.
   */
  erase?(subject: ErasedSubject, ctx: EffectEraseContext<DB>): Promise<void> | void;
  /** How long one call may take, in milliseconds; 30,000 unless given, 10 minutes at most. */
  readonly timeoutMs?: number;
  /** Calls at once in one worker; 10 unless given. */
  readonly concurrency?: number;
  /** No limit unless given. */
  readonly rateLimit?: RateLimit;
}

/** How a handler's deliveries are put in lanes. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers of all kinds stand in one list
export interface Lanes<T extends EventType = any> {
  /** As the handler declared it: it may throw, and return anything. */
  of(event: EventOf<T>): string | null;
  readonly order: LaneOrder;
  /** Of newest-wins always "continue". */
  readonly onDead: "block" | "continue";
}

interface CommonHandler<T extends EventType> {
  readonly name: string;
  readonly on: readonly T[];
  readonly schema: string;
  readonly migrations: Readonly<Record<string, Migration>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  /** Null when its deliveries have no order. */
  readonly lanes: Lanes<T> | null;
}

/** A checked transactional handler with its defaults filled in. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers of all kinds stand in one list
export interface TransactionalHandler<T extends EventType = any, DB = any> extends CommonHandler<T> {
  readonly kind: "transactional";
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  handle(event: EventOf<T>, ctx: HandlerContext<DB>): Promise<void> | void;
  handleBatch?(events: readonly EventOf<T>[], ctx: BatchContext<DB>): Promise<void> | void;
  erase?(subject: ErasedSubject, ctx: EraseContext<DB>): Promise<void> | void;
}

/** A checked effect handler with its defaults filled in. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- handlers of all kinds stand in one list
export interface EffectHandler<T extends EventType = any, DB = any> extends CommonHandler<T> {
  readonly kind: "effect";
  readonly concurrency: number;
  readonly rateLimit: RateLimit | null;
  handle(event: EventOf<T>, ctx: EffectContext<DB>): Promise<void> | void;
  erase?(subject: ErasedSubject, ctx: EffectEraseContext<DB>): Promise<void> | void;
}

/** A handler of either kind. */
export type Handler = TransactionalHandler | EffectHandler;

const NAME = /^[a-z][a-z0-9-]{0,47}$/;
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/;
const TAKEN_SCHEMAS = new Set(["penstock", "bullmq", "public", "information_schema"]);
/** All that either kind can declare: one that is forgotten here does not compile. */
const OPTIONS: Readonly<Record<keyof HandlerDefinition<EventType> | keyof EffectDefinition<EventType>, true>> = {
  kind: true,
  name: true,
  on: true,
  handle: true,
  handleBatch: true,
  erase: true,
  schema: true,
  migrations: true,
  reads: true,
  writes: true,
  timeoutMs: true,
  retry: true,
  lane: true,
  order: true,
  onDead: true,
  concurrency: true,
  rateLimit: true,
};
const KINDS = {
  transactional: { timeoutMs: 10_000, maxTimeoutMs: 30_000 },
  effect: { timeoutMs: 30_000, maxTimeoutMs: 600_000 },
};

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
 * @example
 * export default defineHandler({
 *   kind: "effect",
 *   name: "notify",
 *   on: ["message.failed"],
 *   async handle(event, ctx) {
 *     await ctx.once("post", () => post(event, { idempotencyKey: ctx.idempotencyKey, signal: ctx.signal }));
 *   },
 * });
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see HandlerDefinition
export function defineHandler<const T extends EventType, DB = any>(
  definition: EffectDefinition<T, DB>,
): EffectHandler<T, DB>;
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see HandlerDefinition
export function defineHandler<const T extends EventType, DB = any>(
  definition: HandlerDefinition<T, DB>,
): TransactionalHandler<T, DB>;
export function defineHandler<const T extends EventType>(
  definition: HandlerDefinition<T> | EffectDefinition<T>,
): TransactionalHandler<T> | EffectHandler<T> {
  const { name, on, handle, migrations = {}, kind = "transactional" } = definition;
  const refuse = (why: string): never => {
    throw new HandlerDefinitionError(`handler ${JSON.stringify(name)}: ${why}`);
  };
  if (typeof name !== "string" || !NAME.test(name)) {
    refuse("a name is lower-case letters, digits and dashes, starts with a letter, 48 at most");
  }
  const odd = Object.keys(definition).filter((key) => !Object.hasOwn(OPTIONS, key));
  if (odd.length > 0) refuse(`there is no option ${odd.join(", ")}; known are ${Object.keys(OPTIONS).join(", ")}`);
  if (!Object.hasOwn(KINDS, kind)) refuse('`kind` must be "transactional" or "effect"');
  if (!Array.isArray(on) || on.length === 0) refuse("`on` must list at least one event type");
  if (new Set(on).size !== on.length) refuse("`on` lists an event type twice");
  const unknown = on.filter((type: string) => !isKnown(type));
  if (unknown.length > 0) {
    refuse(`unknown event type ${unknown.join(", ")}; known are ${KNOWN_EVENT_TYPES.join(", ")}`);
  }
  if (typeof handle !== "function") refuse("`handle(event, ctx)` is missing");
  if (definition.erase !== undefined && typeof definition.erase !== "function") refuse("`erase` is not a function");
  const schema = definition.schema ?? name.replaceAll("-", "_");
  if (!SCHEMA.test(schema) || TAKEN_SCHEMAS.has(schema) || schema.startsWith("pg_")) {
    refuse(`schema ${JSON.stringify(schema)} is not a plain lower-case identifier or is taken; set another \`schema\``);
  }
  const { maxTimeoutMs } = KINDS[kind];
  const { timeoutMs = KINDS[kind].timeoutMs } = definition;
  if (!isWhole(timeoutMs) || timeoutMs > maxTimeoutMs) {
    refuse(`\`timeoutMs\` must be a whole number from 1 to ${maxTimeoutMs}`);
  }
  const common = {
    name,
    on: Object.freeze([...on]),
    schema,
    migrations: Object.freeze({ ...migrations }),
    retry: toRetryPolicy(definition.retry, refuse),
    timeoutMs,
    lanes: toLanes(definition, refuse),
  };
  if (definition.kind === "effect") {
    const { concurrency = 10, rateLimit = null } = definition;
    for (const key of ["handleBatch", "reads", "writes"]) {
      if (key in definition) refuse(`\`${key}\` is for transactional handlers`);
    }
    if (!isWhole(concurrency) || concurrency > 256) refuse("`concurrency` must be a whole number from 1 to 256");
    if (rateLimit !== null && !(isWhole(rateLimit.max) && isWhole(rateLimit.perMs))) {
      refuse("`rateLimit` needs `max` and `perMs`, whole numbers of at least 1");
    }
    const limit = rateLimit && Object.freeze({ max: rateLimit.max, perMs: rateLimit.perMs });
    return Object.freeze({
      ...common,
      kind: "effect",
      concurrency,
      rateLimit: limit,
      handle: definition.handle,
      ...(definition.erase && { erase: definition.erase }),
    });
  }
  for (const key of ["concurrency", "rateLimit"]) if (key in definition) refuse(`\`${key}\` is for effect handlers`);
  const { handleBatch } = definition;
  if (handleBatch !== undefined && typeof handleBatch !== "function") refuse("`handleBatch` is not a function");
  if (handleBatch !== undefined && common.lanes !== null) {
    refuse("`handleBatch` would never be called with a `lane`: its events are handled one by one");
  }
  const { reads = [], writes = [] } = definition;
  for (const [key, schemas] of Object.entries({ reads, writes })) {
    if (!Array.isArray(schemas) || !schemas.every((one) => typeof one === "string" && SCHEMA.test(one))) {
      refuse(`\`${key}\` must be a list of schemas, plain lower-case identifiers`);
    }
  }
  const ours = writes.find((one) => one === "penstock" || one === "bullmq");
  if (ours !== undefined) refuse(`\`writes\` names schema ${ours}, which is not for handlers to write`);
  return Object.freeze({
    ...common,
    kind: "transactional",
    reads: Object.freeze([...reads]),
    writes: Object.freeze([...writes]),
    handle: definition.handle,
    ...(handleBatch ? { handleBatch } : {}),
    ...(definition.erase && { erase: definition.erase }),
  });
}

/** Some types are known one by one; others have their provider in front, which no known type begins with. */
function isKnown(type: string): boolean {
  const known: readonly string[] = KNOWN_EVENT_TYPES;
  const [first, ...rest] = type.split(".");
  return known.includes(type) || (rest.length > 0 && !known.some((other) => other.split(".")[0] === first));
}

function toRetryPolicy(given: Partial<RetryPolicy> | undefined, refuse: (why: string) => never): RetryPolicy {
  const { scheduleMs, ...numbers } = given ?? {};
  if (scheduleMs !== undefined && (numbers.attempts !== undefined || numbers.baseMs !== undefined)) {
    refuse("`retry` takes `scheduleMs` or `attempts` and `baseMs`, not both");
  }
  if (scheduleMs !== undefined && !isSchedule(scheduleMs)) {
    refuse("`retry.scheduleMs` must be a list of whole numbers of at least 0, in milliseconds");
  }
  const attempts = scheduleMs === undefined ? 10 : scheduleMs.length + 1;
  const retry = { attempts, baseMs: 1_000, capMs: 3_600_000, ...numbers };
  for (const [key, value] of Object.entries(retry)) {
    if (!isWhole(value)) refuse(`\`retry.${key}\` must be a whole number of at least 1`);
  }
  return Object.freeze({ ...retry, ...(scheduleMs && { scheduleMs: Object.freeze([...scheduleMs]) }) });
}

function toLanes<T extends EventType>(
  { lane, order, onDead }: CommonDefinition<T>,
  refuse: (why: string) => never,
): Lanes<T> | null {
  if (lane === undefined) {
    if (order !== undefined || onDead !== undefined) refuse("`order` and `onDead` are for handlers with a `lane`");
    return null;
  }
  if (typeof lane !== "function") refuse("`lane` must be a function that returns a string, or null for no lane");
  if (order !== undefined && order !== "strict" && order !== "newest-wins") {
    refuse('`order` must be "strict" or "newest-wins"');
  }
  if (order === "newest-wins") {
    if (onDead !== undefined) refuse("`onDead` is for strict lanes: in others nothing waits for a dead letter");
    return Object.freeze({ of: lane, order, onDead: "continue" });
  }
  if (onDead !== undefined && onDead !== "block" && onDead !== "continue") {
    refuse('`onDead` must be "block" or "continue"');
  }
  return Object.freeze({ of: lane, order: "strict", onDead: onDead ?? "block" });
}

function isSchedule(waits: unknown): boolean {
  return Array.isArray(waits) && waits.every((wait) => Number.isInteger(wait) && Number(wait) >= 0);
}

function isWhole(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}
