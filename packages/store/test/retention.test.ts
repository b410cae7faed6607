import type { NewEvent } from "@penstock/intake";
import {
  isRetentionHalfDone,
  planRetention,
  readPolicy,
  type RetentionPolicy,
  runRetention,
  type Store,
  tellPolicy,
  termOf,
} from "@penstock/store";
import { moveToDay } from "@penstock/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
});
afterEach(() => store.close());

const TABLES = ["events", "deliveries", "attempts", "effects", "event_words", "batches"] as const;
const POLICY: RetentionPolicy = { days: 30, bytes: null, dedupeWindowDays: 400, sources: {} };
// Long past: the days that a new database has are yet to come then.
const TODAY = "2020-03-01";
const worker = { worker: "test" };

const daysBefore = (days: number, of = TODAY): string =>
  new Date(Date.parse(of) - days * 86_400_000).toISOString().slice(0, 10);

/** Has these events be received on a day, each with a delivery that succeeded. Sources and sizes as given. */
async function receive(day: string, events: readonly NewEvent[]): Promise<void> {
  await process(store, events);
  const ids = events.map(({ eventId }) => eventId);
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
     SELECT day, seq, 'inbox', 'succeeded', 1 FROM penstock.events WHERE event_id = ANY($1)`,
    [ids],
  );
  await moveToDay(store.pool, day, ids);
}

const named = (prefix: string, count: number, event: Partial<NewEvent> = {}): NewEvent[] =>
  Array.from({ length: count }, (_, nth) => newEvent(`${prefix}_${nth}`, event));

const rows = async (text: string): Promise<Record<string, unknown>[]> =>
  (await store.pool.query<Record<string, unknown>>(text)).rows;
const idsOf = async (table = "events"): Promise<unknown[]> =>
  (
    await rows(`SELECT event_id FROM penstock.events JOIN (SELECT DISTINCT day, seq FROM penstock.${table}) AS t
                USING (day, seq) ORDER BY seq`)
  ).map(({ event_id: id }) => id);
const deliveryIs = (id: string, columns: string): Promise<unknown> =>
  store.pool.query(
    `UPDATE penstock.deliveries d SET ${columns} FROM penstock.events e
      WHERE e.day = d.day AND e.seq = d.seq AND e.event_id = '${id}'`,
  );
const bodies = async (): Promise<unknown[]> =>
  (
    await rows(
      "SELECT convert_from(penstock.body_of(day, seq, body_at, body_bytes), 'UTF8') AS body FROM penstock.events ORDER BY seq",
    )
  ).map(({ body }) => body);

test("the closest pattern of a source decides about a term, then the source, then the setting", () => {
  const types = { "message.*": 10, "message.received": 20, "*": 5 };
  const policy = { ...POLICY, sources: { "shop-eu": { days: 90, types: {} }, chat: { days: null, types } } };
  expect(["shop-eu", "chat", "other"].map((source) => termOf(policy, source, "message.received"))).toEqual([
    90, 20, 30,
  ]);
  expect(["message.sent", "order.paid", ""].map((type) => termOf(policy, "chat", type))).toEqual([10, 5, 5]);
});

test("the policy that a worker told last is in force", async () => {
  expect(await readPolicy(store)).toBeNull();
  await tellPolicy(store, POLICY, "worker-1");
  await tellPolicy(store, { ...POLICY, days: 7 }, "worker-2");
  expect(await readPolicy(store)).toMatchObject({ policy: { days: 7 }, toldBy: "worker-2" });
});

test("a day goes once its last event has been kept for the whole term, with all that was made of it", async () => {
  for (const days of [32, 31, 30]) await receive(daysBefore(days), named(`evt_${days}`, 3));
  const plan = await planRetention(store, POLICY, TODAY);
  expect(plan.days.map(({ action, goes, dueOn }) => [action, goes, dueOn])).toEqual([
    ["drop", 3, daysBefore(1)],
    ["drop", 3, TODAY],
    ["keep", 0, daysBefore(-1)],
  ]);
  const run = await runRetention(store, POLICY, { by: worker, today: TODAY });
  expect(run?.days.map(({ day, outcome, went, freed }) => ({ day, outcome, went, freed }))).toEqual(
    plan.days.slice(0, 2).map(({ day, goes, frees }) => ({ day, outcome: "dropped", went: goes, freed: frees })),
  );
  for (const table of TABLES) {
    expect(await rows(`SELECT DISTINCT day::text FROM penstock.${table}`)).toEqual(
      ["attempts", "effects"].includes(table) ? [] : [{ day: daysBefore(30) }],
    );
    expect(await rows(`SELECT to_regclass('penstock.${table}_${daysBefore(31).replaceAll("-", "")}') AS t`)).toEqual([
      { t: null },
    ]);
  }
  expect((await planRetention(store, POLICY, TODAY)).days.map(({ action }) => action)).toEqual(["keep"]);
  expect(await rows("SELECT day::text, why, went, kept, by FROM penstock.retention_log ORDER BY day")).toEqual(
    [32, 31].map((days) => ({ day: daysBefore(days), why: "age", went: "3", kept: "0", by: "test" })),
  );
});

describe("what is kept of a day that goes", () => {
  const day = daysBefore(40);
  const events = (): NewEvent[] =>
    ["a", "b", "c", "d", "e"].map((name, nth) =>
      newEvent(`evt_${name}`, {
        source: name === "c" ? "shop-eu" : "chat",
        type: name === "d" ? "order.paid" : "message.sent",
        body: Buffer.from(`{"${name.repeat(nth + 1)}":"words-of-${name}"}`),
      }),
    );
  beforeEach(async () => {
    await receive(day, events());
    await store.pool.query(
      "INSERT INTO penstock.handlers (name, kind, types, on_dead) VALUES ('inbox', 'effect', '{*}', 'block')",
    );
  });
  const LONG = { "shop-eu": { days: 365, types: {} }, chat: { days: null, types: { "order.*": 50 } } };

  test.each<
    [what: string, set: () => Promise<unknown>, policy: Partial<RetentionPolicy>, kept: object[], ids: string[]]
  >([
    [
      "a longer term of a source and of a type",
      () => Promise.resolve(),
      { sources: LONG },
      [
        { reason: "term", of: "chat", events: 1 },
        { reason: "term", of: "shop-eu", events: 1 },
      ],
      ["evt_c", "evt_d"],
    ],
    [
      "a delivery that waits",
      () => deliveryIs("evt_b", "state = 'pending', next_attempt_at = now()"),
      {},
      [{ reason: "waiting", of: "inbox", events: 1 }],
      ["evt_b"],
    ],
    [
      "a delivery that is tried again",
      () => deliveryIs("evt_b", "state = 'retrying', next_attempt_at = now()"),
      {},
      [{ reason: "waiting", of: "inbox", events: 1 }],
      ["evt_b"],
    ],
    [
      "a dead letter that others wait behind, and those",
      async () => {
        await deliveryIs("evt_a", "state = 'dead', lane = 'cnv_1', lane_at = now()");
        await deliveryIs("evt_e", "state = 'pending', lane = 'cnv_1', lane_at = now()");
        await deliveryIs("evt_d", "state = 'dead', lane = 'cnv_2', lane_at = now()");
      },
      {},
      [
        { reason: "blocking", of: "inbox", events: 1 },
        { reason: "waiting", of: "inbox", events: 1 },
      ],
      ["evt_a", "evt_e"],
    ],
  ])("%s", async (_, set, policy, kept, ids) => {
    await set();
    const before = await rows(
      "SELECT event_id, type, body_bytes FROM penstock.events WHERE event_id = ANY('{evt_a,evt_b,evt_c,evt_d,evt_e}') ORDER BY seq",
    );
    const whole = { ...POLICY, ...policy };
    const [planned] = (await planRetention(store, whole, TODAY)).days;
    expect(planned).toMatchObject({ action: "thin", goes: 5 - ids.length, kept });
    const run = await runRetention(store, whole, { by: worker, today: TODAY });
    expect(run).toMatchObject({ failed: [], days: [{ outcome: "thinned", went: planned?.goes, kept }] });
    for (const table of ["events", "deliveries"]) expect(await idsOf(table)).toEqual(ids);
    expect(await rows("SELECT event_id, type, body_bytes FROM penstock.events ORDER BY seq")).toEqual(
      before.filter(({ event_id: id }) => ids.includes(String(id))),
    );
    expect(await bodies()).toEqual(
      events()
        .filter(({ eventId }) => ids.includes(eventId ?? ""))
        .map(({ body }) => body.toString()),
    );
    const [batch] = await rows("SELECT events, meta, convert_from(bodies, 'UTF8') AS bodies FROM penstock.batches");
    expect(batch?.["events"]).toBe(ids.length);
    for (const id of ["evt_a", "evt_b", "evt_c", "evt_d", "evt_e"]) {
      expect(String(batch?.["meta"]).includes(id)).toBe(ids.includes(id));
      expect(String(batch?.["bodies"]).includes(`words-of-${id.at(-1)}`)).toBe(ids.includes(id));
    }
    expect(
      (
        await rows(
          "SELECT e.event_id FROM penstock.batches b, LATERAL penstock.events_of(b) e WHERE event_id IS NOT NULL ORDER BY 1",
        )
      ).map(({ event_id: id }) => id),
    ).toEqual(ids);
    // Nothing more goes until something changes.
    expect((await planRetention(store, whole, TODAY)).days).toMatchObject([{ action: "keep", goes: 0 }]);
  });

  test.each<[what: string, set: () => Promise<unknown>, hold: object]>([
    [
      "a replay runs over it",
      () =>
        store.pool.query(
          "INSERT INTO penstock.replays (id, request, again, created_at) VALUES ('rp_1', '{}', false, now())",
        ),
      { reason: "replay", of: "rp_1" },
    ],
    [
      "a batch waits",
      () => store.pool.query("INSERT INTO penstock.pending SELECT batch, day, 5, 5, received_at FROM penstock.batches"),
      { reason: "unprocessed", count: 1 },
    ],
    [
      "a delivery runs",
      () =>
        deliveryIs("evt_b", "state = 'running', lease_until = now() + interval '1 hour', token = gen_random_uuid()"),
      { reason: "running", of: "inbox" },
    ],
  ])("all of it while %s", async (_, set, hold) => {
    await set();
    const [planned] = (await planRetention(store, POLICY, TODAY)).days;
    expect(planned).toMatchObject({ action: "keep", holds: [hold] });
    expect(await runRetention(store, POLICY, { by: worker, today: TODAY })).toMatchObject({ days: [], failed: [] });
    expect(await idsOf()).toHaveLength(5);
  });
});

test("the oldest days go until Penstock takes less than the limit, never today", async () => {
  for (const days of [3, 2, 1]) await receive(daysBefore(days), named(`evt_${days}`, 3));
  const { bytes, days } = await planRetention(store, POLICY, TODAY);
  const [first, second, third] = days.map((day) => day.bytes);
  const limit = (left: number): RetentionPolicy => ({ ...POLICY, bytes: left });
  const actions = async (policy: RetentionPolicy): Promise<string[]> =>
    (await planRetention(store, policy, TODAY)).days.map(({ action, why }) => `${action} ${why}`);
  expect(await actions(limit(bytes))).toEqual(["keep null", "keep null", "keep null"]);
  expect(await actions(limit(bytes - 1))).toEqual(["drop bytes", "keep null", "keep null"]);
  expect(await actions(limit(bytes - (first ?? 0) - 1))).toEqual(["drop bytes", "drop bytes", "keep null"]);
  await runRetention(store, limit(1), { by: worker, today: daysBefore(1) });
  expect((await planRetention(store, POLICY, TODAY)).days.map(({ day }) => day)).toEqual([daysBefore(1)]);
  expect([second, third].every((size) => (size ?? 0) > 0)).toBe(true);
});

test("two at once: one deletes, the other leaves it to that one", async () => {
  await receive(daysBefore(40), named("evt", 3));
  const runs = await Promise.all([1, 2, 3].map(() => runRetention(store, POLICY, { by: worker, today: TODAY })));
  expect(runs.filter((run) => run !== null && run.days.length > 0)).toHaveLength(1);
  expect(await rows("SELECT day::text FROM penstock.retention_log")).toHaveLength(1);
});

describe("a run that was broken off", () => {
  const day = daysBefore(40);
  const name = day.replaceAll("-", "");
  beforeEach(async () => {
    await receive(day, named("evt", 3));
    await deliveryIs("evt_1", "state = 'pending', next_attempt_at = now()");
  });

  test.each([
    ["after the first table was detached", ["deliveries"]],
    ["before the tables were dropped", [...TABLES]],
  ])("%s is finished by the next one", async (_, tables) => {
    for (const table of tables) {
      await store.pool.query(`ALTER TABLE penstock.${table} DETACH PARTITION penstock.${table}_${name} CONCURRENTLY`);
    }
    expect(await isRetentionHalfDone(store)).toBe(true);
    expect((await planRetention(store, POLICY, TODAY)).days).toMatchObject([{ action: "thin", goes: 2 }]);
    expect(await runRetention(store, POLICY, { by: worker, today: TODAY })).toMatchObject({
      failed: [],
      days: [{ outcome: "thinned", went: 2 }],
    });
    expect(await idsOf("deliveries")).toEqual(["evt_1"]);
  });

  test("puts the day back when it is not due any more", async () => {
    for (const table of ["deliveries", "events"]) {
      await store.pool.query(`ALTER TABLE penstock.${table} DETACH PARTITION penstock.${table}_${name} CONCURRENTLY`);
    }
    const longer = { ...POLICY, days: 60 };
    expect((await planRetention(store, longer, TODAY)).days).toMatchObject([{ action: "restore" }]);
    await runRetention(store, longer, { by: worker, today: TODAY });
    expect(await idsOf("deliveries")).toEqual(["evt_0", "evt_1", "evt_2"]);
  });

  test("in the middle of a detach is finalized", async () => {
    // What reads the table has the detach wait; a lock_timeout then leaves it on its way out.
    const reader = await store.pool.connect();
    await reader.query("BEGIN");
    await reader.query("SELECT FROM penstock.deliveries LIMIT 1");
    const other = await store.pool.connect();
    await other.query("SET lock_timeout = '100ms'");
    await expect(
      other.query(`ALTER TABLE penstock.deliveries DETACH PARTITION penstock.deliveries_${name} CONCURRENTLY`),
    ).rejects.toMatchObject({ code: "55P03" });
    other.release(true);
    await reader.query("ROLLBACK");
    reader.release();
    expect(await rows("SELECT count(*)::int AS n FROM pg_inherits WHERE inhdetachpending")).toEqual([{ n: 1 }]);
    expect(await runRetention(store, POLICY, { by: worker, today: TODAY })).toMatchObject({
      failed: [],
      days: [{ outcome: "thinned", went: 2 }],
    });
    expect(await idsOf("deliveries")).toEqual(["evt_1"]);
  });
});

test("an old transaction that reads the tables has a day wait, and is named", async () => {
  await receive(daysBefore(40), named("evt", 3));
  const reader = await store.pool.connect();
  await reader.query("SET application_name = 'pg_dump'");
  await reader.query("BEGIN");
  await reader.query("SELECT FROM penstock.events LIMIT 1");
  const { day } = { day: daysBefore(40) };
  await expect
    .poll(async () => (await planRetention(store, POLICY, TODAY)).days, { timeout: 60_000 })
    .toMatchObject([{ day, action: "keep", holds: [{ reason: "in-use", of: expect.stringContaining("pg_dump") }] }]);
  await reader.query("ROLLBACK");
  reader.release(true);
});

test("what has no days goes by the row: keys past the dedupe window, old entries of the audit log, lanes at rest", async () => {
  await receive(daysBefore(500), named("old", 2));
  await receive(daysBefore(300), named("young", 2));
  await store.pool.query(`
    INSERT INTO penstock.audit_log (at, actor, action, target, detail)
    SELECT date '${TODAY}' - days, 'x', 'x.y', 'x', '{}' FROM unnest('{401,399}'::int[]) AS days;
    INSERT INTO penstock.lanes (subscriber, lane, applied_at)
    SELECT 'inbox', 'lane_' || days, date '${TODAY}' - days FROM unnest('{40,41,20}'::int[]) AS days;
    INSERT INTO penstock.replays (id, request, again, status, ended_at)
    SELECT 'rp_' || days, '{}', false, 'done', date '${TODAY}' - days FROM unnest('{40,20}'::int[]) AS days;
    INSERT INTO penstock.issues (fingerprint, kind, subject, title, state, changed_at, first_seen, last_seen, count)
    SELECT state || days, 'refused', 'x', 'x', state, date '${TODAY}' - days, date '${TODAY}' - days, date '${TODAY}' - days, 1
      FROM unnest('{40,20}'::int[]) AS days, unnest('{resolved,ignored}'::text[]) AS state`);
  await receive(daysBefore(10), named("waits", 1));
  await deliveryIs("waits_0", "state = 'pending', lane = 'lane_41', lane_at = now()");
  const run = await runRetention(store, POLICY, { by: worker, today: TODAY });
  const expected = {
    event_keys: 2,
    event_copies: 0,
    retention_log: 1, // of the day whose keys are too old as well
    audit_log: 1,
    lanes: 1,
    replays: 1,
    issues: 1,
    refused_requests: 0,
    erased_events: 0,
    erasures: 0,
  };
  expect(Object.fromEntries(run?.rest.map(({ table, rows: gone }) => [table, gone]) ?? [])).toEqual(expected);
  expect(await rows("SELECT lane FROM penstock.lanes ORDER BY 1")).toEqual([{ lane: "lane_20" }, { lane: "lane_41" }]);
  expect(await rows("SELECT fingerprint FROM penstock.issues ORDER BY 1")).toEqual(
    ["ignored20", "ignored40", "resolved20"].map((fingerprint) => ({ fingerprint })),
  );
  // A copy of an event that is gone is still told from a new one.
  expect(await process(store, named("young", 2))).toBe(0);
});

test("over sixty days the database grows, and levels off", async () => {
  const sizes: number[] = [];
  const policy = { ...POLICY, days: 20, sources: { "shop-eu": { days: 5, types: {} } } };
  for (let past = 60; past > 0; past--) {
    const day = daysBefore(past);
    await receive(day, [...named(`chat_${past}`, 10), ...named(`shop_${past}`, 10, { source: "shop-eu" })]);
    const run = await runRetention(store, policy, { by: worker, today: daysBefore(-1, day) });
    expect(run?.failed).toEqual([]);
    sizes.push(Number((await rows("SELECT count(*) FROM penstock.events"))[0]?.["count"]));
  }
  expect(sizes[9]).toBeGreaterThan(sizes[2] ?? 0);
  expect(new Set(sizes.slice(25))).toEqual(new Set([20 * 10 + 5 * 10]));
  const { days } = await planRetention(store, policy, TODAY);
  expect(days).toHaveLength(20);
});
