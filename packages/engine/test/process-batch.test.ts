import type { EngineStore } from "@penstock/engine";
import { defineHandler, PermanentError, RetryAfterError } from "@penstock/handler-sdk";
import { makeEvent } from "@penstock/schemas/fixtures";
import type { Store } from "@penstock/store";
import { createEngineStore, findHandlerRoles, listEvents, migrate, pauseHandler } from "@penstock/store";
import { createTestDatabase, eventually, setStrangely } from "@penstock/testing";
import { sql } from "kysely";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  effectHandler,
  effects,
  engineOn,
  findSource,
  migrateForTests,
  openTestStore,
  pendingCount,
  rows,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

const fresh = (batch: number) => ({ batches: [batch], startedBefore: 0 });

describe("a batch", () => {
  test("takes effect once per event and handler, however often its job runs", async () => {
    const engine = engineOn(store, [effectHandler({ name: "a" }), effectHandler({ name: "b" })]);
    const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2" }]);
    expect(await engine.processBatch(fresh(batch))).toMatchObject({
      events: 2,
      quarantined: 0,
      succeeded: 4,
      failed: 0,
    });
    await engine.processBatch(fresh(batch));
    await engine.processBatch({ batches: [batch], startedBefore: 1 });
    expect(await effects(store)).toEqual(["a evt_1", "a evt_2", "b evt_1", "b evt_2"]);
    expect(await deliveries(store)).toEqual([
      "evt_1 a succeeded",
      "evt_1 b succeeded",
      "evt_2 a succeeded",
      "evt_2 b succeeded",
    ]);
    expect(await pendingCount(store)).toBe(0);
    expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
  });

  test("is topped up with the oldest that are pending, own events first", async () => {
    const seen: string[][] = [];
    const handler = effectHandler({ handleBatch: (events) => void seen.push(events.map(({ id }) => id)) });
    const engine = engineOn(store, [handler], { batchEvents: 4 });
    for (const id of ["old_1", "old_2", "old_3"]) await addBatch(store, [{ id }]);
    const batch = await addBatch(store, [{ id: "own_1" }, { id: "own_2" }]);
    expect(await engine.processBatch(fresh(batch))).toMatchObject({ events: 4, more: true });
    expect(seen).toEqual([["old_1", "old_2", "own_1", "own_2"]]);
    expect(await pendingCount(store)).toBe(1);
  });

  test.each(["database", "role"] as const)("has exact times, whatever settings its %s has", async (by) => {
    const { url } = await createTestDatabase();
    await setStrangely(url, by);
    await migrateForTests(url);
    const strange = await openTestStore(url);
    await strange.pool.query("GRANT USAGE ON SCHEMA app TO PUBLIC");
    const seen: unknown[] = [];
    const handler = effectHandler({
      async handle({ createdAt, receivedAt }, { tx }) {
        const { rows } = await sql`SELECT timestamptz '2026-04-03T02:01:00.5Z' AS at, '\\x00ff'::bytea AS bytes,
          interval '1 day 2 hours' AS span, 0.1::float8 + 0.2 AS sum, ARRAY[NULL]::text[] AS none`.execute(tx);
        seen.push({ createdAt, receivedAt }, rows[0]);
      },
    });
    // A handler's role can have settings, too.
    await migrate(strange, [handler]);
    const roles = await findHandlerRoles(strange);
    await strange.pool.query(`ALTER ROLE "${roles.get("app")}" SET datestyle TO 'SQL, DMY'`);
    const engine = engineOn(strange, [handler], { store: createEngineStore(strange, "w", roles) });
    const createdAt = "2026-04-03T02:01:00.123Z";
    await engine.processBatch(fresh(await addBatch(strange, [{ createdAt }])));
    const [event] = await listEvents(strange);
    expect(seen).toEqual([
      { createdAt: new Date(createdAt), receivedAt: new Date(event?.receivedAt ?? "") },
      {
        at: new Date("2026-04-03T02:01:00.500Z"),
        bytes: Buffer.from([0, 255]),
        span: { days: 1, hours: 2 },
        sum: 0.30000000000000004,
        none: [null],
      },
    ]);
    await strange.close();
  });

  test("is bounded by bytes, and one batch always fits", async () => {
    const engine = engineOn(store, [effectHandler()], { batchBytes: 600 });
    const big = await addBatch(store, [{ id: "big", data: { body: "x".repeat(5_000) } }]);
    const small = await addBatch(store, [{ id: "small_1" }]);
    const pointer = { batches: [big, small], startedBefore: 0 };
    expect(await engine.processBatch(pointer)).toMatchObject({ events: 1, more: true });
    expect(await engine.processBatch(pointer)).toMatchObject({ events: 1, more: false });
  });

  test("of 1,024 events, one of a MiB among them, is run as one", async () => {
    const text = "x".repeat(1_048_576);
    const seen: number[] = [];
    const handler = effectHandler({
      handleBatch: (events) => {
        seen.push(events.length, events.filter(({ body }) => body.length > text.length).length);
        expect(events.every(({ id, body }) => body.includes(id))).toBe(true);
      },
    });
    const events = Array.from({ length: 1_024 }, (_, at) => ({
      id: `evt_${at}`,
      ...(at === 500 && { data: { body: text } }),
    }));
    const batch = await addBatch(store, events);
    expect(await engineOn(store, [handler]).processBatch(fresh(batch))).toMatchObject({ events: 1_024, more: true });
    expect(seen).toEqual([1_024, 1]);
    await expect(addBatch(store, [...events, { id: "one more" }])).rejects.toThrow("1 to 1024 events, not 1025");
  });

  test("skips what another worker holds instead of waiting for it", async () => {
    const held = await addBatch(store, [{ id: "evt_1" }]);
    const batch = await addBatch(store, [{ id: "evt_2" }]);
    const other = createEngineStore(store, "other");
    await other.transaction(async (tx) => {
      const claim = { batches: [held], onlyThese: true, maxEvents: 200, maxBytes: 1e6 };
      expect((await tx.claimBatches(claim)).events).toHaveLength(1);
      await engineOn(store, [effectHandler()]).processBatch(fresh(batch));
      expect(await effects(store)).toEqual(["effect evt_2"]);
    });
  });

  test("goes to handlers sorted by subject and then by arrival", async () => {
    const seen: string[] = [];
    const handler = effectHandler({ handle: (event) => void seen.push(event.id) });
    const batch = await addBatch(store, [
      { id: "evt_1", subject: "c" },
      { id: "evt_2", subject: "a" },
      { id: "evt_3", subject: "c" },
      { id: "evt_4", subject: "b" },
    ]);
    await engineOn(store, [handler]).processBatch(fresh(batch));
    expect(seen).toEqual(["evt_2", "evt_4", "evt_1", "evt_3"]);
  });

  test("on hot subjects is processed by two workers side by side without a deadlock or a lost update", async () => {
    const count = effectHandler({
      async handle(event, { tx }) {
        await sql`INSERT INTO counters VALUES (${event.data.contactId}, 1)
                  ON CONFLICT (subject) DO UPDATE SET n = counters.n + 1`.execute(tx);
      },
    });
    const batches: number[] = [];
    for (let batch = 0; batch < 12; batch++) {
      const subjects = Array.from({ length: 40 }, (_, at) => ({ subject: `cnt_${(at * 17 + batch * 7) % 20}` }));
      batches.push(await addBatch(store, subjects));
    }
    const real = createEngineStore(store, "test-worker");
    /** Transactions that were lost: to a deadlock, for example. */
    const lost: unknown[] = [];
    const observed: EngineStore = {
      ...real,
      transaction: (fn) =>
        real.transaction(fn).catch((error: unknown) => {
          lost.push(error);
          throw error;
        }),
    };
    const workers = [0, 1].map(async (worker) => {
      const engine = engineOn(store, [count], { batchEvents: 40, budgetMs: 60_000, store: observed });
      for (const [at, batch] of batches.entries()) {
        if (at % 2 === worker) await engine.processBatch(fresh(batch));
      }
    });
    await Promise.all(workers);
    expect(await rows(store, "SELECT sum(n)::int AS n FROM app.counters")).toEqual([{ n: 480 }]);
    expect(lost).toEqual([]);
    expect(await rows(store, "SELECT DISTINCT state FROM penstock.deliveries")).toEqual([{ state: "succeeded" }]);
  });

  test("run by two workers at the same moment takes effect once", async () => {
    const batch = await addBatch(
      store,
      Array.from({ length: 50 }, (_, at) => ({ id: `evt_${at}` })),
    );
    const engines = [0, 1].map(() => engineOn(store, [effectHandler()], { budgetMs: 60_000 }));
    await Promise.all([
      ...engines.map((engine) => engine.processBatch(fresh(batch))),
      ...engines.map((engine) => engine.processBatch({ batches: [batch], startedBefore: 1 })),
    ]);
    // The run that takes it for a crashed one's may have been first: it only records deliveries.
    await Promise.all(engines.map((engine) => engine.runDueDeliveries(50)));
    expect(await effects(store)).toHaveLength(50);
    expect(new Set(await effects(store)).size).toBe(50);
  });
});

describe("what cannot be understood", () => {
  test("goes to quarantine with the reason, its neighbours go on", async () => {
    const batch = await addBatch(store, [
      { id: "good" },
      { id: "not_json", body: Buffer.from("{"), problem: "not-json" },
      {
        id: "unknown",
        body: Buffer.from('{"id":"unknown","type":"x.y","createdAt":"2026-06-01T14:32:00Z","data":{}}'),
      },
      { id: "bad_shape", data: { messageId: "" } },
      { id: "conflict", problem: "id-conflict" },
    ]);
    const report = await engineOn(store, [effectHandler()]).processBatch(fresh(batch));
    expect(report).toMatchObject({ events: 5, quarantined: 4, succeeded: 1, failed: 0 });
    expect(await effects(store)).toEqual(["effect good"]);
    const found = await rows<{ event_id: string; reason: string; detail: string }>(
      store,
      "SELECT event_id, reason, detail FROM penstock.quarantine JOIN penstock.events USING (day, seq) ORDER BY seq",
    );
    expect(found.map(({ event_id, reason }) => [event_id, reason])).toEqual([
      ["not_json", "not-json"],
      ["unknown", "unknown-type"],
      ["bad_shape", "invalid-shape"],
      ["conflict", "id-conflict"],
    ]);
    expect(found[2]?.detail).toContain("messageId");
    expect(await pendingCount(store)).toBe(0);
  });
});

test.each([
  ["2026-06-01T16:32:00.123456789+0200", "2026-06-01T14:32:00.123Z"],
  ["2026-06-01t14:32:00z", "2026-06-01T14:32:00.000Z"],
  ["2026-06-01 14:32+00", "2026-06-01T14:32:00.000Z"],
])("a handler gets the exact time of a createdAt of %s", async (createdAt, expected) => {
  const event = { ...makeEvent("message.received", { id: "evt_1" }), createdAt };
  const batch = await addBatch(store, [{ id: "evt_1", body: Buffer.from(JSON.stringify(event)) }]);
  const noting = effectHandler({
    async handle({ id, createdAt: at }, { tx }) {
      await tx.insertInto("effects").values({ handler: "effect", event_id: id, note: at.toISOString() }).execute();
    },
  });
  expect(await engineOn(store, [noting]).processBatch(fresh(batch))).toMatchObject({ quarantined: 0, succeeded: 1 });
  expect(await rows(store, "SELECT note FROM app.effects")).toEqual([{ note: expected }]);
});

describe("a failing handler", () => {
  const failing = (error: () => unknown, retry = { attempts: 3, baseMs: 60_000, capMs: 60_000 }) =>
    effectHandler({
      name: "failing",
      retry,
      async handle(event, { tx }) {
        await tx.insertInto("effects").values({ handler: "failing", event_id: event.id }).execute();
        if (event.id === "culprit") throw error();
      },
    });

  test.each([
    { error: () => new Error("boom"), state: "retrying" },
    { error: () => new RetryAfterError(5_000), state: "retrying" },
    { error: () => new PermanentError("gone"), state: "dead" },
    { error: () => "a string", state: "retrying" },
    { error: () => Object.create(null) as unknown, state: "retrying" },
    { error: () => Object.assign(new Error("x"), { message: { not: "text" }, name: 7 }), state: "retrying" },
  ])("leaves its culprit $state and every other effect in place: $error", async ({ error, state }) => {
    const batch = await addBatch(store, [{ id: "before" }, { id: "culprit" }, { id: "later" }]);
    const engine = engineOn(store, [failing(error), effectHandler({ name: "other" })]);
    await engine.processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual([
      "before failing succeeded",
      "before other succeeded",
      `culprit failing ${state}`,
      "culprit other succeeded",
      "later failing succeeded",
      "later other succeeded",
    ]);
    expect(await effects(store)).toEqual([
      "failing before",
      "failing later",
      "other before",
      "other culprit",
      "other later",
    ]);
  });

  test("has its try kept as a row: class and message, without what Postgres text cannot hold", async () => {
    const batch = await addBatch(store, [{ id: "culprit" }]);
    const error = Object.assign(new Error(`no \u0000 \ud800 ${"x".repeat(5_000)}`), { name: "Odd\0Error" });
    await engineOn(store, [failing(() => error)]).processBatch(fresh(batch));
    const [attempt] = await rows<Record<string, unknown>>(store, "SELECT * FROM penstock.attempts");
    expect(attempt).toMatchObject({
      attempt: 1,
      outcome: "failed",
      error_class: "Odd\ufffdError",
      worker: "test-worker",
    });
    expect(String(attempt?.["error_message"])).toMatch(/^no \ufffd \ufffd x+$/);
    expect(String(attempt?.["error_message"]).length).toBeLessThanOrEqual(1_000);
  });

  test("waits a random while below the ceiling, or as long as it asked for", async () => {
    const due = "SELECT round(extract(epoch FROM next_attempt_at - changed_at))::int AS s FROM penstock.deliveries";
    const batch = await addBatch(store, [{ id: "culprit" }]);
    await engineOn(store, [failing(() => new Error("boom"))], { random: () => 0.5 }).processBatch(fresh(batch));
    expect(await rows(store, due)).toEqual([{ s: 30 }]);
    await store.pool.query("TRUNCATE penstock.deliveries, penstock.event_keys");
    const asking = await addBatch(store, [{ id: "culprit" }]);
    await engineOn(store, [failing(() => new RetryAfterError(7_000))]).processBatch(fresh(asking));
    expect(await rows(store, due)).toEqual([{ s: 7 }]);
  });

  test("waits from when it failed, not from when its transaction began", async () => {
    const late = effectHandler({
      async handle() {
        await new Promise((resolve) => setTimeout(resolve, 500));
        throw new RetryAfterError(1_000);
      },
      retry: { attempts: 3, baseMs: 1_000, capMs: 1_000 },
    });
    const waits = () =>
      rows(
        store,
        `SELECT d.next_attempt_at >= max(a.started_at) + interval '1.45 s' AS waits
           FROM penstock.deliveries d JOIN penstock.attempts a USING (day, seq, subscriber) GROUP BY d.next_attempt_at`,
      );
    const engine = engineOn(store, [late]);
    await engine.processBatch(fresh(await addBatch(store, [{ id: "evt_1" }])));
    expect(await waits()).toEqual([{ waits: true }]);
    await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now()");
    await engine.runDueDeliveries(1);
    expect(await waits()).toEqual([{ waits: true }]);
  });

  test("that fails at everything is tried little until it succeeds again; the others go on in batches", async () => {
    let broken = true;
    let tries = 0;
    const failing = effectHandler({
      name: "failing",
      handle() {
        tries++;
        if (broken) throw new Error("at everything");
      },
    });
    const engine = engineOn(store, [effectHandler({ name: "other" }), failing]);
    const batch = async (name: string, count: number): Promise<void> => {
      const events = Array.from({ length: count }, (_, at) => ({ id: `${name}_${at}` }));
      await engine.processBatch(fresh(await addBatch(store, events)));
    };
    const states = () =>
      rows(
        store,
        `SELECT subscriber, state, count(*)::int AS count FROM penstock.deliveries
          GROUP BY 1, 2 ORDER BY 1, 2`,
      );
    await batch("first", 50);
    expect(tries).toBe(21); // all behind one savepoint, and then 20 by themselves
    await batch("second", 50);
    expect(tries).toBe(21);
    expect(engine.isFailing("failing")).toBe(true);
    expect(await states()).toEqual([
      { subscriber: "failing", state: "pending", count: 80 },
      { subscriber: "failing", state: "retrying", count: 20 },
      { subscriber: "other", state: "succeeded", count: 100 },
    ]);

    broken = false;
    await engine.runDueDeliveries(1, "failing");
    expect(engine.isFailing("failing")).toBe(false);
    await batch("third", 50);
    expect(await states()).toContainEqual({ subscriber: "failing", state: "succeeded", count: 51 });
  });

  test("that offers handleBatch is rerun event by event to find the culprit", async () => {
    const calls: string[] = [];
    const handler = effectHandler({
      async handleBatch(events, { tx }) {
        calls.push(`batch of ${events.length}`);
        await tx
          .insertInto("effects")
          .values(events.map(({ id }) => ({ handler: "batch", event_id: id })))
          .execute();
        throw new Error("one of them");
      },
      async handle(event, { tx }) {
        calls.push(event.id);
        if (event.id === "culprit") throw new Error("this one");
        await tx.insertInto("effects").values({ handler: "single", event_id: event.id }).execute();
      },
    });
    const batch = await addBatch(store, [{ id: "a" }, { id: "culprit" }, { id: "b" }]);
    await engineOn(store, [handler]).processBatch(fresh(batch));
    expect(calls).toEqual(["batch of 3", "a", "culprit", "b"]);
    expect(await effects(store)).toEqual(["single a", "single b"]);
  });
});

test("an event goes to quarantine with a reason that names what Postgres text cannot hold", async () => {
  const odd = {
    ...findSource("buzzbip")!,
    check: () => ({ ok: false, reason: "invalid-shape", detail: "fields.a\0b: is too long" }) as const,
  };
  const batch = await addBatch(store, [{ id: "evt_1" }]);
  await engineOn(store, [effectHandler()], { findSource: () => odd }).processBatch(fresh(batch));
  expect(await rows(store, "SELECT reason, detail FROM penstock.quarantine")).toEqual([
    { reason: "invalid-shape", detail: "fields.a\ufffdb: is too long" },
  ]);
});

describe("the transaction that handlers share", () => {
  test.each([
    "COMMIT",
    "commit",
    "/* a /* nested */ comment */ COMMIT",
    "-- a comment\n;; ROLLBACK",
    "END",
    "ABORT",
    "BEGIN",
    "START TRANSACTION",
    "SAVEPOINT handler",
    "RELEASE SAVEPOINT handler",
    "ROLLBACK TO SAVEPOINT handler",
    "PREPARE TRANSACTION 'x'",
    "SET search_path TO penstock",
    "SET LOCAL statement_timeout = 0",
    "SELECT set_config('search_path', 'penstock', false)",
    "SELECT pg_catalog.\"set_config\"('search_path', 'penstock', false)",
    "SELECT pg_advisory_lock(1)",
    'SELECT "pg_try_advisory_lock_shared" (1)',
    "CREATE TEMP TABLE t (id int)",
    "CREATE LOCAL TEMPORARY TABLE IF NOT EXISTS t AS SELECT 1 AS id",
    "SELECT 1 AS id INTO TEMP t",
    "RESET ALL",
    "DISCARD ALL",
    "LISTEN x",
    "SELECT 1; COMMIT",
    "PREPARE mine AS SELECT 1",
    "PREPARE mine AS SELECT 1; EXECUTE mine",
    'EXECUTE "penstock-claim-batch"(NULL, 1, 1)',
    'EXPLAIN (ANALYZE) EXECUTE "penstock-started-alone"(NULL)',
    "DEALLOCATE ALL",
    "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
    "DECLARE mine SCROLL CURSOR /* */ WITH -- a comment\n HOLD FOR SELECT 1",
    "UNLISTEN *",
    "LOAD 'plpgsql'",
    "COPY app.effects TO STDOUT",
    "COPY app.effects FROM STDIN",
    "SELECT set_config/* */('search_path', 'penstock', false)",
    "SELECT pg_advisory_lock -- a comment\n (1)",
    "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1 AS id",
    "CREATE TABLE pg_temp.t (id int)",
    'CREATE FUNCTION "pg_temp".f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    "SELECT 1 AS id INTO pg_temp.t",
    "DO $$ BEGIN SET datestyle TO 'German'; END $$",
    "DO LANGUAGE plpgsql 'BEGIN IF true THEN RESET ALL; END IF; END'",
    "DO $body$ BEGIN PERFORM set_config('datestyle', 'German', false); END $body$",
    "DO $$ BEGIN CREATE TEMP TABLE t (id int); END $$",
    "DO $$ BEGIN CASE WHEN true THEN RESET ALL; ELSE LISTEN x; END CASE; END $$",
    "WITH mine AS (SELECT 1 AS id) SELECT id INTO TEMP t FROM mine",
  ])("refuses a handler's %s, even when the handler swallows the refusal", async (statement) => {
    const evil = effectHandler({
      name: "evil",
      async handle(event, { tx }) {
        await tx.insertInto("effects").values({ handler: "evil", event_id: event.id }).execute();
        await sql
          .raw(statement)
          .execute(tx)
          .catch(() => undefined);
      },
    });
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [effectHandler({ name: "before" }), evil, effectHandler({ name: "later" })]).processBatch(
      fresh(batch),
    );
    expect(await effects(store)).toEqual(["before evt_1", "later evt_1"]);
    expect(await deliveries(store)).toEqual(["evt_1 before succeeded", "evt_1 evil retrying", "evt_1 later succeeded"]);
  });

  test.each([
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_try_advisory_xact_lock_shared(1)",
    "CREATE TEMP TABLE t (id int) ON COMMIT DROP",
    "SELECT 'temp ' AS note INTO temperatures",
    "SELECT 'set_config(1) pg_temp.t' AS \"SET\", E'it\\'s -- no comment', $x$ pg_advisory_lock(1) $x$",
    "DECLARE mine CURSOR FOR SELECT 1",
    "DO $$ BEGIN UPDATE app.counters SET n = 1; END $$",
    "NOTIFY mine",
    "EXPLAIN SELECT 1",
    // Words that are commands elsewhere, as names.
    'WITH mine AS (SELECT 1 AS load) INSERT INTO temp SELECT load AS "COPY" FROM mine ON CONFLICT DO NOTHING',
    "SELECT 1 AS execute, 'COMMIT; ROLLBACK' AS prepare, $x$; DISCARD ALL$x$ AS copy",
    "DO $$ DECLARE start timestamptz; BEGIN start := now(); start = now(); END $$",
    "DO $$ BEGIN PERFORM CASE WHEN true THEN reset ELSE load END FROM (SELECT 1 AS reset, 2 AS load) AS t; END $$",
  ])("takes a handler's %s, which ends with it", async (statement) => {
    await store.pool.query("CREATE TABLE app.temp (id int)");
    const handler = effectHandler({ handle: async (_, { tx }) => void (await sql.raw(statement).execute(tx)) });
    await engineOn(store, [handler]).processBatch(fresh(await addBatch(store, [{ id: "evt_1" }])));
    expect(await deliveries(store)).toEqual(["evt_1 effect succeeded"]);
  });

  test.each(["DO $$ BEGIN COMMIT; END $$", "CALL app.sly()"])("survives a commit hidden in %s", async (statement) => {
    await store.pool.query("CREATE PROCEDURE app.sly() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$");
    const evil = effectHandler({
      name: "evil",
      handle: async (_, { tx }) => void (await sql.raw(statement).execute(tx)),
    });
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [evil, effectHandler({ name: "later" })]).processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["evt_1 evil retrying", "evt_1 later succeeded"]);
  });

  test("does not take a handler's word: a swallowed SQL error is a failure, and named", async () => {
    const careless = effectHandler({
      name: "careless",
      async handle(event, { tx }) {
        await tx.insertInto("effects").values({ handler: "careless", event_id: event.id }).execute();
        await sql`SELECT 1 / 0`.execute(tx).catch(() => undefined);
      },
    });
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [careless, effectHandler({ name: "other" })]).processBatch(fresh(batch));
    expect(await effects(store)).toEqual(["other evt_1"]);
    expect(await rows(store, "SELECT subscriber, error_message FROM penstock.attempts")).toEqual([
      { subscriber: "careless", error_message: "division by zero" },
    ]);
  });

  test("waits for queries that the handler did not await, and refuses those that come later", async () => {
    let late: Promise<unknown> | undefined;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const forgetful = effectHandler({
      handle(event, { tx }) {
        const insert = (name: string) =>
          tx.insertInto("effects").values({ handler: name, event_id: event.id }).execute();
        void insert("forgotten").then(() => insert("and what it began"));
        late = gate.then(() => tx.insertInto("effects").values({ handler: "late", event_id: event.id }).execute());
        late.catch(() => undefined);
      },
    });
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [forgetful]).processBatch(fresh(batch));
    release();
    await expect(late).rejects.toThrow("Transaction is already committed");
    expect(await effects(store)).toEqual(["and what it began evt_1", "forgotten evt_1"]);
  });

  test("fails a handler whose statements go on without end, and nobody waits for them", async () => {
    const endless = effectHandler({
      name: "endless",
      handle(_, { tx }) {
        const again = (): Promise<unknown> => sql`SELECT 1`.execute(tx).then(again);
        again().catch(() => undefined);
      },
    });
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [endless, effectHandler({ name: "other" })]).processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["evt_1 endless retrying", "evt_1 other succeeded"]);
  });

  test("names the handler that breaks a deferred constraint, and leaves the constraint deferred for the next", async () => {
    await store.pool.query(`
      CREATE TABLE app.parents (id text PRIMARY KEY);
      CREATE TABLE app.children (id text, parent text REFERENCES app.parents DEFERRABLE INITIALLY DEFERRED);`);
    const insert = (name: string, ...tables: string[]) =>
      effectHandler({
        name,
        async handle(event, { tx }) {
          for (const table of tables) {
            const columns = table === "children" ? { id: event.id, parent: name } : { id: name };
            await tx.insertInto(table).values(columns).execute();
          }
        },
      });
    const orphan = insert("a-orphan", "children");
    const family = insert("b-family", "children", "parents"); // the child first: only a deferred check lets it pass
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    await engineOn(store, [orphan, family]).processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["evt_1 a-orphan retrying", "evt_1 b-family succeeded"]);
    expect(await rows(store, "SELECT parent FROM app.children")).toEqual([{ parent: "b-family" }]);
  });

  test("whose COMMIT is refused becomes deliveries of their own: only the culprit fails", async () => {
    // Passes when it is checked and fails when it is committed: a sequence is not rolled back.
    await store.pool.query(`
      CREATE SEQUENCE app.checks;
      CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF nextval('app.checks') % 2 = 0 THEN RAISE EXCEPTION 'refused at commit'; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON app.effects DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.event_id = 'culprit') EXECUTE FUNCTION app.refuse();`);
    const batch = await addBatch(store, [{ id: "a" }, { id: "culprit" }, { id: "b" }]);
    const engine = engineOn(store, [effectHandler({ retry: { attempts: 3, baseMs: 60_000, capMs: 60_000 } })], {
      random: () => 1,
    });
    await engine.processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["a effect pending", "b effect pending", "culprit effect pending"]);
    while ((await engine.runDueDeliveries(10)) > 0);
    expect(await deliveries(store)).toEqual(["a effect succeeded", "b effect succeeded", "culprit effect retrying"]);
    expect(await effects(store)).toEqual(["effect a", "effect b"]);
    expect(await pendingCount(store)).toBe(0);
  });

  test("gives each handler its own schema as search_path", async () => {
    await store.pool.query("CREATE SCHEMA other; CREATE TABLE other.effects (LIKE app.effects INCLUDING ALL)");
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    const handlers = [effectHandler({ name: "a", schema: "other" }), effectHandler({ name: "b" })];
    await engineOn(store, handlers).processBatch(fresh(batch));
    expect(await effects(store)).toEqual(["b evt_1"]);
    expect(await rows(store, "SELECT handler FROM other.effects")).toEqual([{ handler: "a" }]);
  });
});

describe("a slow handler", () => {
  const hang = () => new Promise<void>(() => undefined);

  test.each([
    { how: "never resolves", handle: hang },
    {
      how: "is stuck in a statement",
      handle: async (_: unknown, { tx }: { tx: Parameters<ReturnType<typeof sql>["execute"]>[0] }) =>
        void (await sql`SELECT pg_sleep(30)`.execute(tx)),
    },
  ])("that $how past its time-out becomes deliveries of its own; the others go on", async ({ handle }) => {
    const slow = effectHandler({ name: "slow", timeoutMs: 200, handle: handle as () => Promise<void> });
    const engine = engineOn(store, [effectHandler({ name: "quick" }), slow]);
    const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2" }]);
    await engine.processBatch(fresh(batch));
    expect(await effects(store)).toEqual(["quick evt_1", "quick evt_2"]);
    expect(await deliveries(store)).toEqual([
      "evt_1 quick succeeded",
      "evt_1 slow pending",
      "evt_2 quick succeeded",
      "evt_2 slow pending",
    ]);
    // By itself it is timed out as well, and that counts.
    await engine.runDueDeliveries(10);
    expect(await rows(store, "SELECT DISTINCT outcome, error_class FROM penstock.attempts")).toEqual([
      { outcome: "timed-out", error_class: "HandlerTimeoutError" },
    ]);
    expect(await rows(store, "SELECT DISTINCT state FROM penstock.deliveries WHERE subscriber = 'slow'")).toEqual([
      { state: "retrying" },
    ]);
  });

  test("that uses up its budget keeps what it has done; the rest become deliveries, and so does the next batch", async () => {
    const slow = effectHandler({
      async handle(event, { tx }) {
        await tx.insertInto("effects").values({ handler: "slow", event_id: event.id }).execute();
        await new Promise((resolve) => setTimeout(resolve, 40));
      },
    });
    const engine = engineOn(store, [slow], { budgetMs: 20 });
    await engine.processBatch(fresh(await addBatch(store, [{ id: "a" }, { id: "b" }])));
    expect(await deliveries(store)).toEqual(["a effect succeeded", "b effect pending"]);
    await engine.processBatch(fresh(await addBatch(store, [{ id: "c" }])));
    expect(await deliveries(store)).toEqual(["a effect succeeded", "b effect pending", "c effect pending"]);
    expect(await engine.runDueDeliveries(10)).toBe(2);
    expect(await effects(store)).toEqual(["slow a", "slow b", "slow c"]);
    expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
  });
});

describe("a handler's budget in a batch", () => {
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const statesAfter = async (
    handler: ReturnType<typeof effectHandler>,
    events: readonly string[],
    budgetMs: number,
  ) => {
    const engine = engineOn(store, [handler], { budgetMs });
    await engine.processBatch(
      fresh(
        await addBatch(
          store,
          events.map((id) => ({ id })),
        ),
      ),
    );
    await engine.processBatch(fresh(await addBatch(store, [{ id: "next" }])));
    return deliveries(store);
  };

  test("is also used up by one call of handleBatch: what it did is kept, the next batch goes without it", async () => {
    const slow = effectHandler({ handleBatch: () => wait(60) });
    expect(await statesAfter(slow, ["a", "b"], 30)).toEqual([
      "a effect succeeded",
      "b effect succeeded",
      "next effect pending",
    ]);
  });

  test("is also used up by one slow event", async () => {
    const slow = effectHandler({ handle: () => wait(60) });
    expect(await statesAfter(slow, ["a"], 30)).toEqual(["a effect succeeded", "next effect pending"]);
  });

  test("is not charged with the pass that failed because of one event", async () => {
    const failing = effectHandler({
      async handleBatch() {
        await wait(1_500);
        throw new Error("one of them");
      },
    });
    expect(await statesAfter(failing, ["a", "b"], 1_000)).toEqual([
      "a effect succeeded",
      "b effect succeeded",
      "next effect succeeded",
    ]);
  });

  test("ends a batch also when several handlers hang for longer than a demotion lasts", async () => {
    const hanging = ["a", "b", "c"].map((name) =>
      effectHandler({ name, timeoutMs: 100, handle: () => new Promise<void>(() => undefined) }),
    );
    const engine = engineOn(store, hanging, { demoteMs: 1 });
    await engine.processBatch(fresh(await addBatch(store, [{ id: "evt_1" }])));
    expect(await deliveries(store)).toEqual(["evt_1 a pending", "evt_1 b pending", "evt_1 c pending"]);
  });
});

describe("a worker that runs out of patience at shutdown", () => {
  // Told once the handler has begun, and not after a while in which it may not have.
  const stoppingHandler = (obedient: boolean) => {
    const stop = new AbortController();
    const handler = effectHandler({
      timeoutMs: 30_000,
      handle: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          if (obedient) signal.addEventListener("abort", () => reject(new Error("aborted")));
          setTimeout(() => stop.abort(new Error("stopping")), 20);
        }),
    });
    return engineOn(store, [handler], { signal: stop.signal });
  };

  describe.each([
    { who: "a handler that heeds its signal", obedient: true },
    { who: "a handler that ignores it", obedient: false },
  ])("in $who", ({ obedient }) => {
    test("leaves its events pending and counts no attempt", async () => {
      const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2" }]);
      await expect(stoppingHandler(obedient).processBatch(fresh(batch))).rejects.toThrow("stopping");
      expect(await pendingCount(store)).toBe(2);
      expect(await deliveries(store)).toEqual([]);
    });

    test("hands its deliveries back as they were", async () => {
      const failing = effectHandler({ handle: () => Promise.reject(new Error("at first")) });
      await engineOn(store, [failing]).processBatch(fresh(await addBatch(store, [{ id: "evt_1" }])));
      await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now()");
      expect(await stoppingHandler(obedient).runDueDeliveries(1)).toBe(1);
      expect(await rows(store, "SELECT state, attempts, interruptions FROM penstock.deliveries")).toEqual([
        { state: "retrying", attempts: 1, interruptions: 0 },
      ]);
    });
  });
});

describe("who handles what", () => {
  test("an event for a handler that this worker lacks waits for a worker that has it", async () => {
    const mine = effectHandler({ name: "mine" });
    const theirs = effectHandler({ name: "theirs" });
    const engineStore = createEngineStore(store, "theirs");
    await engineStore.registerHandlers([mine, theirs].map(({ name, kind, on }) => ({ name, kind, types: on })));
    const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2", type: "contact.created" }]);
    await engineOn(store, [mine]).processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["evt_1 mine succeeded", "evt_1 theirs pending"]);
    expect(await engineOn(store, [mine]).runDueDeliveries(10)).toBe(0);
    expect(await engineOn(store, [theirs]).runDueDeliveries(10)).toBe(1);
    expect(await effects(store)).toEqual(["mine evt_1", "theirs evt_1"]);
  });

  test("an event of a type that only a newer version of a handler knows waits for that version", async () => {
    const older = effectHandler({ name: "h", on: ["message.received"] });
    const newer = effectHandler({ name: "h", on: ["message.received", "contact.created"] });
    await createEngineStore(store, "newer").registerHandlers([{ name: "h", kind: "transactional", types: newer.on }]);
    const batch = await addBatch(store, [{ id: "evt_1", type: "contact.created" }]);
    await engineOn(store, [older]).processBatch(fresh(batch));
    expect(await engineOn(store, [older]).runDueDeliveries(10)).toBe(1);
    expect(await deliveries(store)).toEqual(["evt_1 h pending"]);
    await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now()");
    expect(await engineOn(store, [newer]).runDueDeliveries(10)).toBe(1);
    expect(await effects(store)).toEqual(["h evt_1"]);
    expect(await rows(store, "SELECT attempts FROM penstock.deliveries")).toEqual([{ attempts: 1 }]);
  });

  test.each([{ startedBefore: 0 }, { startedBefore: 1 }])(
    "an effect handler's event becomes a delivery of its own, recorded by the batch and not run in it: %o",
    async ({ startedBefore }) => {
      const ran: string[] = [];
      const outside = defineHandler({
        kind: "effect",
        name: "outside",
        on: ["message.received"],
        handle: () => void ran.push("outside"),
      });
      const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2", type: "contact.created" }]);
      const engine = engineOn(store, [outside, effectHandler({ name: "inside" })]);
      await engine.processBatch({ batches: [batch], startedBefore });
      await engine.runDueDeliveries(10);
      expect(await deliveries(store)).toEqual(["evt_1 inside succeeded", "evt_1 outside pending"]);
      expect(await pendingCount(store)).toBe(0);
      expect(ran).toEqual([]);
    },
  );

  test.each([{ startedBefore: 0 }, { startedBefore: 1 }])(
    "an event of a handler that is paused waits for it to go on, and its other handlers run: %o",
    async ({ startedBefore }) => {
      const handlers = [effectHandler({ name: "other" }), effectHandler({ name: "paused" })];
      const theirs = createEngineStore(store, "w");
      await theirs.registerHandlers(handlers.map(({ name, kind, on }) => ({ name, kind, types: on })));
      await pauseHandler(store, "paused", true, "test");
      const engine = engineOn(store, handlers);
      await engine.processBatch({ batches: [await addBatch(store, [{ id: "evt_1" }])], startedBefore });
      await engine.runDueDeliveries(10);
      expect(await deliveries(store)).toEqual(["evt_1 other succeeded", "evt_1 paused pending"]);
      await pauseHandler(store, "paused", false, "test");
      expect(await engine.runDueDeliveries(10)).toBe(1);
      expect(await effects(store)).toEqual(["other evt_1", "paused evt_1"]);
    },
  );

  test("an event that nobody wants is processed all the same", async () => {
    const batch = await addBatch(store, [{ type: "contact.created" }]);
    expect(await engineOn(store, [effectHandler()]).processBatch(fresh(batch))).toMatchObject({ events: 1 });
    expect(await pendingCount(store)).toBe(0);
  });
});

describe("a batch whose process died", () => {
  const again = (batch: number, startedBefore = 1) => ({ batches: [batch], startedBefore });

  test("is recorded without a call of its handlers, each of which gets a delivery that waits", async () => {
    const ran: string[] = [];
    const handler = (name: string) => effectHandler({ name, handle: ({ id }) => void ran.push(`${name} ${id}`) });
    await addBatch(store, [{ id: "oldest" }]);
    const batch = await addBatch(store, [{ id: "evt_1" }, { id: "evt_2", type: "contact.created" }]);
    const engine = engineOn(store, [handler("a"), handler("b")]);
    // What killed its process may have come along as one of the oldest.
    expect(await engine.processBatch(again(batch))).toMatchObject({ batches: 2, events: 3, waiting: ["a", "b"] });
    expect(ran).toEqual([]);
    const waiting = ["evt_1 a pending", "evt_1 b pending", "oldest a pending", "oldest b pending"];
    expect(await deliveries(store)).toEqual(waiting);
    expect(await engine.runDueDeliveries(10)).toBe(4);
    expect(ran.toSorted()).toEqual(["a evt_1", "a oldest", "b evt_1", "b oldest"]);
  });

  test("is waited for while a worker that stands still holds it", async () => {
    const batch = await addBatch(store, [{ id: "evt_1" }]);
    let recorded: Promise<unknown> | undefined;
    const frozen = createEngineStore(store, "frozen").transaction(async (tx) => {
      await tx.claimBatches({ batches: [batch], onlyThese: true, maxEvents: 200, maxBytes: 1e6 });
      recorded = engineOn(store, [effectHandler()]).processBatch(again(batch));
      await eventually(async () => {
        expect((await rows(store, "SELECT FROM pg_locks WHERE NOT granted")).length).toBeGreaterThan(0);
      });
      throw new Error("it was killed");
    });
    await expect(frozen).rejects.toThrow("it was killed");
    expect(await recorded).toMatchObject({ batches: 1, events: 1 });
    expect(await deliveries(store)).toEqual(["evt_1 effect pending"]);
  });

  test("three times is recorded without a call of what reads its events", async () => {
    const deadly = { ...findSource("buzzbip")!, check: () => expect.unreachable("it was read") };
    const engine = engineOn(store, [effectHandler()], { findSource: () => deadly });
    const batch = await addBatch(store, [{ id: "evt_1" }, { id: "broken", problem: "not-json" }]);
    expect(await engine.processBatch(again(batch, 3))).toMatchObject({ events: 2, quarantined: 1 });
    expect(await deliveries(store)).toEqual(["evt_1 effect pending"]);
    expect(await engineOn(store, [effectHandler()]).runDueDeliveries(10)).toBe(1);
    expect(await effects(store)).toEqual(["effect evt_1"]);
  });

  test("and that cannot be recorded stays pending, and does not hold up those after it", async () => {
    await store.pool.query(`
      CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.event_id = 'evt_1' THEN RAISE EXCEPTION 'not recorded'; END IF;
          RETURN NEW;
        END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON penstock.events FOR EACH ROW EXECUTE FUNCTION app.refuse();`);
    const batches = [await addBatch(store, [{ id: "evt_1" }]), await addBatch(store, [{ id: "evt_2" }])];
    await engineOn(store, [effectHandler()]).processBatch({ batches, startedBefore: 1 });
    expect(await deliveries(store)).toEqual(["evt_2 effect pending"]);
    expect(await rows(store, "SELECT batch::int FROM penstock.pending")).toEqual([{ batch: batches[0] }]);
  });
});

describe("a Postgres that answers and cannot go on", () => {
  // As a full disk says it, without filling one.
  const exhausted = (code: string) =>
    sql.raw(`DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '${code}'; END $$`);
  const failingAtFirst = (failures: number, code = "53100", swallow = false) => {
    const calls: number[] = [];
    const handler = effectHandler({
      retry: { attempts: 1 },
      async handle(event, { tx, attempt }) {
        calls.push(attempt);
        if (calls.length <= failures) {
          const statement = exhausted(code).execute(tx);
          await (swallow ? statement.catch(() => undefined) : statement);
        }
        await tx.insertInto("effects").values({ handler: "effect", event_id: event.id }).execute();
      },
    });
    return { handler, calls };
  };

  test.each(["53100", "58030", "57014"])("(%s) makes a batch wait, and no attempt is counted", async (code) => {
    const { handler } = failingAtFirst(2, code);
    const batch = await addBatch(store, [{ id: "a" }, { id: "b" }]);
    await engineOn(store, [handler]).processBatch(fresh(batch));
    expect(await deliveries(store)).toEqual(["a effect succeeded", "b effect succeeded"]);
    expect(await rows(store, "SELECT * FROM penstock.attempts")).toEqual([]);
  });

  test("is told from a failure of the handler also when the handler swallows the error", async () => {
    const { handler } = failingAtFirst(1, "53100", true);
    await engineOn(store, [handler]).processBatch(fresh(await addBatch(store, [{ id: "a" }])));
    expect(await deliveries(store)).toEqual(["a effect succeeded"]);
  });

  test("makes a delivery rest and keep its attempt", async () => {
    const { handler, calls } = failingAtFirst(1);
    const theirs = createEngineStore(store, "theirs");
    await theirs.registerHandlers([{ name: handler.name, kind: "transactional", types: handler.on }]);
    await engineOn(store, []).processBatch(fresh(await addBatch(store, [{ id: "a" }])));
    const engine = engineOn(store, [handler]);
    expect(await engine.runDueDeliveries(10)).toBe(1);
    expect(await rows(store, "SELECT state, attempts, interruptions FROM penstock.deliveries")).toEqual([
      { state: "pending", attempts: 0, interruptions: 0 },
    ]);
    expect(await engine.runDueDeliveries(10)).toBe(0);
    await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now()");
    expect(await engine.runDueDeliveries(10)).toBe(1);
    expect(calls).toEqual([1, 1]);
    expect(await deliveries(store)).toEqual(["a effect succeeded"]);
  });

  test("is asked again ever more slowly", async () => {
    const stop = new AbortController();
    const { handler, calls } = failingAtFirst(Infinity);
    const batch = await addBatch(store, [{ id: "a" }]);
    const processed = engineOn(store, [handler], { signal: stop.signal }).processBatch(fresh(batch));
    setTimeout(() => stop.abort(new Error("stopping")), 1_000);
    await expect(processed).rejects.toThrow("stopping");
    expect(calls.length).toBeLessThan(6);
  });
});
