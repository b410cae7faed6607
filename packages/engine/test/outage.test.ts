import type { EffectContext } from "@penstock/handler-sdk";
import type { Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { eventually, type ServerUnderTest, startPostgres } from "@penstock/testing";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  effectHandler,
  effects,
  engineOn,
  migrateForTests,
  openTestStore,
  outsideHandler,
  pendingCount,
  rows,
  runDueEffects,
} from "./engine-under-test.ts";

// A Postgres of their own, since these tests take it away.
let server: ServerUnderTest;
let store: Store;
beforeAll(async () => {
  server = await startPostgres();
  await migrateForTests(server.url);
  store = await openTestStore(server.url);
});
afterAll(() => store.close());
beforeEach(async () => {
  await store.pool.query(
    "TRUNCATE penstock.pending, penstock.event_keys, penstock.deliveries, penstock.attempts, penstock.effects, app.effects",
  );
});

test.each(["stop", "kill"] as const)(
  "a worker waits out a Postgres that was ended by %s in the middle of a batch, and nothing is consumed",
  async (how) => {
    let started = 0;
    const handler = effectHandler({
      async handle(event, { tx }) {
        started++;
        await tx.insertInto("effects").values({ handler: "effect", event_id: event.id }).execute();
        if (started === 1) await sql`SELECT pg_sleep(5)`.execute(tx);
      },
    });
    const batch = await addBatch(store, [{ id: "a" }, { id: "b" }]);
    const processed = engineOn(store, [handler]).processBatch({ batches: [batch], startedBefore: 0 });
    await eventually(() => expect(started).toBe(1));
    await server[how]();
    await server.start();
    expect(await processed).toMatchObject({ events: 2, quarantined: 0, succeeded: 2, failed: 0 });
    expect(await effects(store)).toEqual(["effect a", "effect b"]);
    expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
    expect(await pendingCount(store)).toBe(0);
  },
);

test("a delivery that an outage interrupts keeps its attempt", async () => {
  let started = 0;
  const handler = effectHandler({
    async handle(event, { tx, attempt }) {
      if (attempt === 1) throw new Error("first");
      started++;
      if (started === 1) await sql`SELECT pg_sleep(5)`.execute(tx);
      await tx
        .insertInto("effects")
        .values({ handler: `attempt ${attempt}`, event_id: event.id })
        .execute();
    },
  });
  const engine = engineOn(store, [handler]);
  await engine.processBatch({ batches: [await addBatch(store, [{ id: "a" }])], startedBefore: 0 });
  const running = eventually(async () => expect(await engine.runDueDeliveries(1)).toBe(1));
  await eventually(() => expect(started).toBe(1));
  await server.kill();
  await server.start();
  await running;
  await eventually(async () => {
    await engine.runDueDeliveries(1);
    expect(await effects(store)).toEqual(["attempt 2 a"]);
  });
  expect(await deliveries(store)).toEqual(["a effect succeeded"]);
});

describe("a Postgres that hangs for longer than a handler's time", () => {
  /** An engine with a handler whose first call waits for a Postgres that hangs until the engine has noticed. */
  function hanging(before: (attempt: number) => void = () => undefined) {
    let thawed: Promise<unknown> | undefined;
    const logged: string[] = [];
    const log = createLogger({ service: "test", level: "warn", destination: { write: (line) => logged.push(line) } });
    const handler = effectHandler({
      timeoutMs: 500,
      async handle(event, { tx, attempt }) {
        before(attempt);
        if (thawed === undefined) {
          await server.freeze();
          thawed = eventually(() => expect(logged.join("")).toContain("Postgres cannot go on")).then(server.thaw);
        }
        await tx
          .insertInto("effects")
          .values({ handler: `attempt ${attempt}`, event_id: event.id })
          .execute();
      },
    });
    return { engine: engineOn(store, [handler], { log }), thawed: () => thawed };
  }

  test("demotes no handler", async () => {
    const { engine, thawed } = hanging();
    const batch = await addBatch(store, [{ id: "a" }, { id: "b" }]);
    expect(await engine.processBatch({ batches: [batch], startedBefore: 0 })).toMatchObject({
      events: 2,
      succeeded: 2,
    });
    await thawed();
    expect(await effects(store)).toEqual(["attempt 1 a", "attempt 1 b"]);
    expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
  });

  test.each([
    ["one delivery", ["a"]],
    ["deliveries that share a transaction", ["a", "b"]],
  ])("uses up no attempt of %s", async (_, ids) => {
    const { engine, thawed } = hanging((attempt) => {
      if (attempt === 1) throw new Error("first");
    });
    const events = ids.map((id) => ({ id }));
    await engine.processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
    await eventually(async () => {
      await engine.runDueDeliveries(10);
      expect(await effects(store)).toEqual(ids.map((id) => `attempt 2 ${id}`));
    });
    await thawed();
    expect(await deliveries(store)).toEqual(ids.map((id) => `${id} effect succeeded`));
  });
});

test.each([
  {
    what: "result of a delivery to an effect handler",
    handle: (outage: () => Promise<void>) => outage(),
    timeoutMs: 60_000,
    awayMs: 1_000,
  },
  {
    what: "record of what it did once",
    handle: (outage: () => Promise<void>, { once }: EffectContext) => once("post", outage),
    timeoutMs: 60_000,
    awayMs: 1_000,
  },
  {
    what: "record of what it did once, past the handler's time, which is then no try of it",
    handle: (outage: () => Promise<void>, { once }: EffectContext) => once("post", outage),
    timeoutMs: 8_000,
    awayMs: 10_000,
  },
])("the $what waits for Postgres, and it is not done again", async ({ handle, timeoutMs, awayMs }) => {
  let done = 0;
  let back: Promise<void> = Promise.resolve();
  const outage = async (): Promise<void> => {
    done++;
    await server.stop();
    back = new Promise((resolve) => setTimeout(resolve, awayMs)).then(() => server.start());
  };
  const engine = engineOn(store, [outsideHandler((_, ctx) => handle(outage, ctx), { timeoutMs })]);
  await engine.processBatch({ batches: [await addBatch(store, [{ id: "a" }])], startedBefore: 0 });
  expect(await runDueEffects(engine)).toBe(1);
  await back;
  await eventually(async () => {
    await runDueEffects(engine);
    expect(await deliveries(store)).toEqual(["a outside succeeded"]);
  });
  expect(done).toBe(1);
  expect(await rows(store, "SELECT attempts, interruptions FROM penstock.deliveries")).toEqual([
    { attempts: 1, interruptions: 0 },
  ]);
  expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
});

test("a worker that is told to stop while Postgres is away stops, and its events stay pending", async () => {
  const stop = new AbortController();
  const batch = await addBatch(store, [{ id: "a" }]);
  await server.stop();
  const processed = engineOn(store, [effectHandler()], { signal: stop.signal }).processBatch({
    batches: [batch],
    startedBefore: 0,
  });
  stop.abort(new Error("stopping"));
  await expect(processed).rejects.toThrow();
  await server.start();
  expect(await pendingCount(store)).toBe(1);
});
