import { hash } from "node:crypto";
import { createEngine, runErase } from "@penstock/engine";
import type { EffectHandler, ErasedSubject, EventType, Handler, TransactionalHandler } from "@penstock/handler-sdk";
import { createIntake } from "@penstock/intake";
import {
  buzzbip,
  defineSources,
  discord,
  github,
  hubspot,
  intercom,
  linear,
  meta,
  microsoftGraph,
  paddle,
  pagerduty,
  sendgrid,
  shopify,
  slack,
  type Sources,
  square,
  stripe,
  trello,
  twilio,
  zendesk,
  zoom,
} from "@penstock/sources";
import {
  createEngineStore,
  createReplay,
  createStore,
  findEvents,
  findHandlerRoles,
  commitBatch,
  migrate,
  type Store,
} from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createDatabase, dropDatabase } from "@penstock/test-postgres";
import { Kysely, PostgresDialect, type Selectable } from "kysely";
import { findPostgres } from "./find-postgres.ts";
import { type EventOverrides, type SentEvent, toVerified } from "./make-event.ts";
import { parseDuration } from "./parse-duration.ts";
import {
  type DeliveryStory,
  type EffectStory,
  listTables,
  readDeliveries,
  readEffects,
  readQuarantine,
  readRows,
} from "./read-story.ts";
import { runUntilIdle } from "./run-until-idle.ts";
import { type LogLine, tellStory } from "./tell-story.ts";
import { createVirtualTime } from "./virtual-time.ts";
import { vitest } from "./vitest.ts";

/** How a handler is tested; nothing of it is needed. */
export interface TestHandlerOptions {
  /** Further handlers that get the events, too, e.g. one whose tables this one reads. */
  readonly beside?: readonly Handler[];
  /** Who can send; one of each provider that comes with Penstock, named like it, unless given. */
  readonly sources?: Sources;
  /** The most events of one batch; 500 unless given. With 1, `handle` is called for each event, and `handleBatch` never. */
  readonly batchEvents?: number;
}

/** A handler on a database of its own, which is dropped when this is disposed of. */
export interface HandlerTest<DB> extends AsyncDisposable {
  /**
   * Sends an event as a provider would, after its signature: it is committed, and waits for `settle`. What is sent between
   * two `settle` comes in one batch.
   */
  send<T extends EventType>(type: T, overrides?: EventOverrides<T>): Promise<SentEvent>;
  /**
   * Does what workers do until nothing is due: batches, deliveries, lanes, replays, and effects one after the other. What
   * failed and is to be tried again later is not due: see `advance`. Rate limits do not apply.
   */
  settle(): Promise<void>;
  /**
   * Lets time pass for what waits to be tried again, e.g. `"90s"`, `"1h"` or milliseconds: each delivery that becomes due is
   * run at its moment, its next tries, too, each with the longest wait that its policy can draw (no jitter).
   * It moves no clock: `Date.now()`, `now()` of Postgres, `receivedAt` and timers stay as they are, and so do time-outs.
   */
  advance(duration: number | string): Promise<void>;
  /**
   * Has the handler run for an event again, as `penstock replay create` does; `again` does its effects anew, too. It is run by
   * `settle`. All events with this id, when there are several.
   */
  replay(event: string | Pick<SentEvent, "id">, options?: { again?: boolean; reason?: string }): Promise<void>;
  /** Has the handler erase somebody, as `penstock erase` does: by the id of a contact or the like, unless told otherwise. */
  erase(subject: string | ErasedSubject): Promise<void>;
  /** The rows of a table of the handler's schema, by primary key where there is one. */
  rows<Table extends keyof DB & string>(table: Table): Promise<Selectable<DB[Table]>[]>;
  /** Kysely on the handler's schema, outside of any transaction. */
  readonly db: Kysely<DB>;
  /** What became of each event at each handler, by arrival. */
  deliveries(): Promise<DeliveryStory[]>;
  /** What `ctx.once` has done, in order. */
  effects(): Promise<EffectStory[]>;
  /** Events that could not be understood, and why. */
  quarantine(): Promise<{ readonly event: string; readonly reason: string; readonly detail: string | null }[]>;
  /**
   * All of it as text: what was sent, each try and its error, effects, log lines, rows. Printed by itself when a test of
   * Vitest fails that has used this.
   */
  story(): Promise<string>;
}

/**
 * Runs a handler of either kind as production does: the real intake, engine and store on a real Postgres, with its
 * migrations, lanes and retries. Nothing runs by itself: `settle` and `advance` do.
 *
 * The Postgres is that of Vitest's global setup, else of TEST_DATABASE_URL; with another runner, else one of the process.
 *
 * @example
 * test("a message is greeted", async () => {
 *   await using t = await testHandler(greetings);
 *   const { id } = await t.send("message.received", { data: { body: "hello" } });
 *   await t.settle();
 *   expect(await t.rows("greetings")).toEqual([{ event_id: id, body: "hello" }]);
 * });
 */
export async function testHandler<DB>(
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever it is subscribed to
  handler: TransactionalHandler<any, DB> | EffectHandler<any, DB>,
  options?: TestHandlerOptions,
): Promise<HandlerTest<DB>>;
export async function testHandler(
  handler: Handler,
  { beside = [], sources = defaultSources(), batchEvents = 500 }: TestHandlerOptions = {},
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as its handler says
): Promise<HandlerTest<any>> {
  if (sources.problems.length > 0) throw new Error(`sources: ${sources.problems.join("; ")}`);
  const handlers = [handler, ...beside];
  const server = await findPostgres();
  const database = await createDatabase(server, {
    migrate: (url) => migrateAll(url, handlers),
    ...(server.keepsTemplates && { template: toTemplateName(handlers) }),
  });
  const store = openStore(database.url, sources);
  const inSchema = openStore(database.url, sources, handler.schema);
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: inSchema.pool }) });
  const log: LogLine[] = [];
  const logger = createLogger({
    service: "test",
    level: "debug",
    destination: { write: (line) => void log.push(JSON.parse(line) as LogLine) },
  });
  const time = createVirtualTime(store, createEngineStore(store, "test", await findHandlerRoles(store)));
  const engine = createEngine({
    store: time.engineStore,
    handlers,
    findSource: sources.find,
    log: logger,
    signal: new AbortController().signal,
    batchEvents,
    random: () => 1,
  });
  await time.engineStore.registerHandlers(handlers.map((one) => ({ ...one, types: one.on })));
  const intake = createIntake({
    store: { commitBatch: (events) => commitBatch(store, events) },
    queue: { add: () => Promise.resolve() },
    log: logger,
    windowDays: 400,
  });
  const sent: SentEvent[] = [];
  let replays = 0;
  let ending: string | null = null;

  async function story(): Promise<string> {
    if (ending !== null) return ending;
    const names = await listTables(store, handler.schema);
    return tellStory({
      sent,
      deliveries: await readDeliveries(store, time),
      quarantine: await readQuarantine(store),
      effects: await readEffects(store),
      log,
      tables: await Promise.all(
        names.map(async (name) => ({
          name: `${handler.schema}.${name}`,
          rows: await readRows(store, handler.schema, name),
        })),
      ),
      elapsedMs: time.nowMs,
    });
  }
  const watch = printWhenTestFails(story);
  const settle = (): Promise<void> => runUntilIdle(store, engine, handlers);

  return {
    db,
    async send(type, overrides = {}) {
      watch();
      const event = toVerified(type, overrides, sources);
      await intake.accept(event);
      const { id, source, createdAt } = event;
      const one = { id, type, source, createdAt };
      sent.push(one);
      return one;
    },
    async settle() {
      watch();
      await settle();
    },
    async advance(duration) {
      watch();
      const until = time.nowMs + parseDuration(duration);
      await settle();
      while (await time.moveOn(until)) await settle();
    },
    async replay(event, { again = false, reason } = {}) {
      watch();
      const id = typeof event === "string" ? event : event.id;
      const found = await findEvents(store, id);
      if (found.length === 0) throw new Error(`no event ${id} was sent`);
      for (const pointer of found) {
        const request = { event: id, again, number: ++replays };
        const asked = { id: `replay-${replays}`, request, event: pointer, handler: handler.name, again };
        await createReplay(store, { ...asked, ...(reason !== undefined && { reason }) }, "test");
      }
    },
    async erase(given) {
      watch();
      const names = sources.list.map(({ name }) => name);
      const subject =
        typeof given === "string" ? { kind: "subject" as const, value: given, path: null, sources: names } : given;
      const { signal } = new AbortController();
      const one = { store: time.engineStore, handler, subject, idempotencyKey: "erasure-test", signal, log: logger };
      if (!(await runErase(one))) throw new Error(`handler ${handler.name} has no erase`);
    },
    rows: async (table) => {
      watch();
      return (await readRows(store, handler.schema, table)) as never[]; // what they hold is known to the handler's types only
    },
    deliveries: () => readDeliveries(store, time),
    effects: () => readEffects(store),
    quarantine: () => readQuarantine(store),
    story,
    async [Symbol.asyncDispose]() {
      if (ending !== null) return;
      ending = await story().catch((error: unknown) => `The story could not be read: ${String(error)}`);
      await intake.close();
      await inSchema.close();
      await store.close();
      const dropping = dropDatabase(server, database.name);
      // It waits for a checkpoint; where all of it is thrown away in the end, nobody has to wait with it.
      if (server.keepsTemplates) dropping.catch(() => undefined);
      else await dropping;
    },
  };
}

function defaultSources(): Sources {
  return defineSources({
    buzzbip: buzzbip(),
    stripe: stripe(),
    github: github(),
    shopify: shopify(),
    slack: slack(),
    twilio: twilio(),
    discord: discord(),
    hubspot: hubspot(),
    intercom: intercom(),
    linear: linear(),
    meta: meta(),
    "microsoft-graph": microsoftGraph(),
    paddle: paddle(),
    pagerduty: pagerduty(),
    sendgrid: sendgrid(),
    square: square(),
    trello: trello(),
    zendesk: zendesk(),
    zoom: zoom(),
  });
}

/** The same for handlers with the same migrations: those of a run are applied once. */
function toTemplateName(handlers: readonly Handler[]): string {
  const migrated = handlers.map((handler) => [
    handler.schema,
    Object.entries(handler.migrations).map(([name, { up }]) => [name, String(up)]),
    handler.kind === "transactional" && [handler.reads, handler.writes],
  ]);
  return `handlers_${hash("sha256", JSON.stringify(migrated), "hex").slice(0, 16)}`;
}

async function migrateAll(url: string, handlers: readonly Handler[]): Promise<void> {
  const store = openStore(url, { list: [] });
  try {
    await migrate(store, handlers);
  } finally {
    await store.close();
  }
}

function openStore(connectionString: string, { list }: Pick<Sources, "list">, schema?: string): Store {
  return createStore({
    connectionString,
    ...(schema !== undefined && { schema }),
    applicationName: "penstock-handler-test",
    maxConnections: 6,
    sources: list.map(({ name }) => name),
  });
}

/** Has the story printed when a test fails; what it returns is called by whatever a test does, once per test that matters. */
function printWhenTestFails(story: () => Promise<string>): () => void {
  const watched = new Set<string>();
  return () => {
    const name = vitest?.expect.getState().currentTestName;
    if (name === undefined || watched.has(name)) return;
    watched.add(name);
    vitest?.onTestFailed(async () => void process.stderr.write(`${await story()}\n`));
  };
}
