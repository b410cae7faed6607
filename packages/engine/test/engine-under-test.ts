import { createEngine, type Engine, type EngineOptions } from "@penstock/engine";
import {
  defineHandler,
  type EffectContext,
  type EffectDefinition,
  type EffectHandler,
  type EventType,
  type Handler,
  type HandlerDefinition,
} from "@penstock/handler-sdk";
import { isBuzzBipEventType } from "@penstock/schemas";
import { makeEvent, randomId } from "@penstock/schemas/fixtures";
import { buzzbip, defineSources } from "@penstock/sources";
import { commitBatch, createEngineStore, createStore, migrate, type Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase } from "@penstock/testing";

/** The schema in which the handlers of these tests write; each effect is a row. */
const EFFECTS = `
  CREATE SCHEMA app;
  CREATE TABLE app.effects (id bigserial PRIMARY KEY, handler text NOT NULL, event_id text NOT NULL, note text);
  CREATE TABLE app.counters (subject text PRIMARY KEY, n int NOT NULL DEFAULT 0);`;

/** Opens a store on a migrated database of its own, with the tables that handlers write to. */
export async function openTestStore(url?: string): Promise<Store> {
  const connectionString = url ?? (await createTestDatabase({ template: "engine", migrate: migrateForTests })).url;
  return createStore({ connectionString, applicationName: "engine-test", maxConnections: 12, sources: ["buzzbip"] });
}

export async function migrateForTests(url: string): Promise<void> {
  const store = createStore({ connectionString: url, applicationName: "engine-test-migrate", maxConnections: 2 });
  await migrate(store);
  await store.pool.query(EFFECTS);
  await store.close();
}

/** A handler in schema `app` whose `handle` writes one effect per event, unless told otherwise. */
export function effectHandler<const T extends EventType = "message.received">(
  definition: Partial<HandlerDefinition<T>> = {},
): Handler {
  const name = definition.name ?? "effect";
  return defineHandler({
    name,
    on: ["message.received"] as unknown as readonly T[],
    schema: "app",
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
    async handle(event, { tx }) {
      await tx.insertInto("effects").values({ handler: name, event_id: event.id }).execute();
    },
    ...definition,
  }) as Handler;
}

/** An effect handler named `outside`, tried three times, that does what it is told. */
export function outsideHandler(
  handle: (event: { readonly id: string }, ctx: EffectContext) => unknown,
  definition: Partial<EffectDefinition<"message.received">> = {},
): EffectHandler {
  return defineHandler({
    kind: "effect",
    name: "outside",
    on: ["message.received"],
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
    handle: async (event, ctx) => void (await handle(event, ctx)),
    ...definition,
  });
}

/**
 * Runs the deliveries that are due to an effect handler as a worker does, and returns how many there were. Nothing runs any more
 * when it ends, also when it throws: a test that then has leases run out would make a second run of what still runs.
 */
export async function runDueEffects(engine: Engine, handler = "outside"): Promise<number> {
  const interrupted = async (): Promise<number> => {
    for (let ran = 0; ; ran++) if (!(await engine.runInterruptedEffect(handler))) return ran;
  };
  const others = async (): Promise<number> => {
    const { runs } = await engine.startEffects(handler, 100);
    await allEnded(runs);
    return runs.length;
  };
  const [first = 0, second = 0] = await allEnded([others(), interrupted()]);
  return first + second;
}

/** As `Promise.all`, and waits for the others when one fails. */
async function allEnded<T>(runs: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(runs);
  return Promise.all(runs);
}

/** Makes what is to be tried again due now. */
export async function makeDue(store: Store): Promise<void> {
  await store.pool.query(
    "UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state IN ('pending', 'retrying')",
  );
}

/** The source that all events of these tests come from. */
export const { find: findSource } = defineSources({ buzzbip: buzzbip() });

/** An engine on a store, as one worker has it. */
export function engineOn(store: Store, handlers: readonly Handler[], options: Partial<EngineOptions> = {}): Engine {
  return createEngine({
    store: createEngineStore(store, "test-worker"),
    handlers,
    findSource,
    log: createLogger({ service: "test", level: "silent" }),
    signal: new AbortController().signal,
    ...options,
  });
}

/** Makes handlers known to all workers, as one of them does at its start. */
export async function register(store: Store, handlers: readonly Handler[]): Promise<void> {
  await createEngineStore(store, "test-worker").registerHandlers(handlers.map((one) => ({ ...one, types: one.on })));
}

/** One event to be, or the exact bytes of what claims to be one. */
export interface TestEvent {
  readonly id?: string;
  /** One of BuzzBip's has an example's data; any other needs a body. */
  readonly type?: string;
  /** `buzzbip` unless given. */
  readonly source?: string;
  readonly subject?: string;
  readonly createdAt?: string;
  readonly data?: Record<string, unknown>;
  readonly body?: Buffer;
  readonly problem?: string;
}

/** Commits events as intake does, as one batch, and returns its number. Subjects are contact ids. */
export async function addBatch(store: Store, events: readonly TestEvent[]): Promise<number> {
  return commitBatch(
    store,
    events.map((one) => {
      const { type = "message.received", source = "buzzbip", subject = "cnt_1", data, body, problem = null } = one;
      const { id = randomId("evt"), createdAt = new Date().toISOString() } = one;
      const event = isBuzzBipEventType(type)
        ? makeEvent(type, { id, createdAt, data: { contactId: subject, ...data } })
        : { id, type, createdAt };
      return {
        source,
        eventId: event.id,
        key: null,
        type: event.type,
        createdAt: new Date(event.createdAt),
        subjects: [subject],
        problem,
        traceparent: null,
        bodyVaries: false,
        body: body ?? Buffer.from(JSON.stringify(event)),
        replay: null,
      };
    }),
  );
}

/** Rows of a query, as objects. */
export async function rows<Row = Record<string, unknown>>(store: Store, sql: string): Promise<Row[]> {
  return (await store.pool.query(sql)).rows as Row[];
}

/** Which handler wrote an effect for which event, sorted: `handler event`. */
export async function effects(store: Store): Promise<string[]> {
  const found = await rows<{ line: string }>(
    store,
    "SELECT handler || ' ' || event_id AS line FROM app.effects ORDER BY handler, event_id, id",
  );
  return found.map(({ line }) => line);
}

/** What became of each event at each subscriber, sorted: `event subscriber state`. */
export async function deliveries(store: Store): Promise<string[]> {
  const found = await rows<{ line: string }>(
    store,
    `SELECT e.event_id || ' ' || d.subscriber || ' ' || d.state AS line
       FROM penstock.deliveries d JOIN penstock.events e USING (day, seq) ORDER BY 1`,
  );
  return found.map(({ line }) => line);
}

export async function pendingCount(store: Store): Promise<number> {
  const [row] = await rows<{ n: number }>(store, "SELECT coalesce(sum(events), 0)::int AS n FROM penstock.pending");
  return row?.n ?? -1;
}
