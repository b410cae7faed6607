import { commitBatch, findEvents, findOfTypes, listEvents, showEvents, type Store } from "@penstock/store";
import { beforeAll, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";
import { mostRowsIn, mostRowsLeftOut, withPlans } from "./plans.ts";

let store: Store;
beforeAll(async () => {
  store = await openMigrated();
  await process(store, [newEvent("processed"), newEvent("quarantined")]);
  await commitBatch(store, [newEvent("pending", { type: "message.sent" })]);
  await store.pool.query(`
    INSERT INTO penstock.handlers (name, kind, types) VALUES ('a', 'transactional', '{x}'), ('b', 'transactional', '{y}');
    INSERT INTO penstock.quarantine (seq, day, reason) SELECT seq, day, 'unknown-type' FROM penstock.events
     WHERE event_id = 'quarantined';
    INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts) SELECT day, seq, s, 'succeeded', 1
      FROM penstock.events, unnest(ARRAY['b', 'a']) AS s WHERE event_id = 'processed';
    INSERT INTO penstock.attempts SELECT day, seq, 'a', 1, now(), now(), 'failed', 'Error', 'boom', 'w1'
      FROM penstock.events WHERE event_id = 'processed';`);
  return () => store.close();
});

test("events are listed newest first, with what became of them", async () => {
  const listed = await listEvents(store);
  expect(listed.map(({ id, status }) => [id, status])).toEqual([
    ["pending", "pending"],
    ["quarantined", "quarantined"],
    ["processed", "processed"],
  ]);
  expect(listed[1]?.quarantine).toEqual({ reason: "unknown-type", detail: null, dismissedAt: null });
  expect(listed[2]?.deliveries.map(({ subscriber, state }) => [subscriber, state])).toEqual([
    ["a", "succeeded"],
    ["b", "succeeded"],
  ]);
});

test.each([
  [{ type: "message.sent" }, ["pending"]],
  [{ status: "quarantined" as const }, ["quarantined"]],
  [{ event: "processed" }, ["processed"]],
  [{ event: "processed", source: "other" }, []],
  [{ handler: "a" }, ["processed"]],
  [{ state: "succeeded" as const, handler: "b" }, ["processed"]],
  [{ state: "dead" as const }, []],
  [{ status: "quarantined" as const, handler: "a" }, ["quarantined"]],
  [{ status: "quarantined" as const, handler: "b" }, []],
  [{ status: "pending" as const, subject: "cnt_1" }, ["pending"]],
  [{ subject: "cnt_2" }, []],
  [{ since: new Date(Date.now() + 3_600_000) }, []],
  [{ until: new Date(Date.now() - 3_600_000) }, []],
  [{ source: "other" }, []],
  [{ limit: 1 }, ["pending"]],
])("%j finds %j", async (filter, ids) => {
  expect((await listEvents(store, filter)).map(({ id }) => id)).toEqual(ids);
});

test("a page goes on where the one before ended", async () => {
  const [newest] = await listEvents(store, { limit: 1 });
  const next = await listEvents(store, { limit: 1, before: newest! });
  expect(next.map(({ id }) => id)).toEqual(["quarantined"]);
});

test("one event is shown whole, by id or by seq: attempts, trace and the exact body", async () => {
  const [byId] = await showEvents(store, "processed");
  expect(byId?.attempts).toMatchObject([{ subscriber: "a", outcome: "failed", errorMessage: "boom", worker: "w1" }]);
  expect(byId?.body.toString()).toBe("processed");
  expect(byId?.traceparent).toContain("0af7651916cd43dd8448eb211c80319c");
  expect((await showEvents(store, String(byId?.seq))).map(({ id }) => id)).toEqual(["processed"]);
  expect(await showEvents(store, "nothing")).toEqual([]);
});

test.each([
  ["the body conflicts with another", "id-conflict", "evt_twice"],
  ["was too long to keep whole", null, "x".repeat(256)],
  ["could not be stored as it was sent", null, "evt_\ufffd"],
])("an event whose id %s is found by it", async (_, problem, eventId) => {
  const { rows } = await store.pool.query<{ seq: string }>(
    `INSERT INTO penstock.events (seq, day, received_at, source, event_id, subjects, problem, body_at, body_bytes)
     SELECT max(seq) + 1, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', $1, '{}', $2, 0, 0 FROM penstock.events
     RETURNING seq::text`,
    [eventId, problem],
  );
  expect((await showEvents(store, eventId)).map(({ seq }) => String(seq))).toEqual([rows[0]?.seq]);
});

test("of several events under one id the newest comes first, whatever the length of their numbers", async () => {
  const id = "y".repeat(256);
  await store.pool.query(
    `INSERT INTO penstock.events (seq, day, received_at, source, event_id, subjects, body_at, body_bytes)
     SELECT seq, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', $1, '{}', 0, 0
       FROM unnest(ARRAY[9999999, 10000000]) AS seq`,
    [id],
  );
  expect((await findEvents(store, id)).map(({ seq }) => seq)).toEqual([10_000_000, 9_999_999]);
});

test("events of rare types are found in pages that look at so many events each, and no more", async () => {
  const archive = await openMigrated();
  const ids = Array.from({ length: 2_000 }, (_, nth) => `evt_${nth}`);
  const typed = (id: string, nth: number) => newEvent(id, { type: nth % 800 === 3 ? "rare" : "usual" });
  await process(archive, ids.slice(0, 1_000).map(typed));
  await process(
    archive,
    ids.slice(1_000).map((id, nth) => typed(id, 1_000 + nth)),
  );
  await archive.pool.query(
    "INSERT INTO penstock.quarantine (seq, day, reason) SELECT seq, day, 'x' FROM penstock.events WHERE event_id = 'evt_803'",
  );
  await archive.pool.query("VACUUM ANALYZE penstock.events");
  const find = (filter: { limit?: number; event?: string; subject?: string }, signal = new AbortController().signal) =>
    withPlans(archive, (alone) => findOfTypes(alone, { types: ["rare", "other"], limit: 5, ...filter }, signal, 100));
  const { result, plans } = await find({});
  expect(result.map(({ id, type }) => [id, type])).toEqual([
    ["evt_1603", "rare"],
    ["evt_3", "rare"],
  ]);
  expect(plans.filter((plan) => plan.includes("scanned"))).toHaveLength(21);
  expect(Math.max(mostRowsIn(plans), mostRowsLeftOut(plans))).toBeLessThan(150);
  expect((await find({ limit: 1 })).result.map(({ id }) => id)).toEqual(["evt_1603"]);
  expect((await find({ subject: "cnt_2" })).result).toEqual([]);
  expect((await find({ event: "evt_803" })).result.map(({ id }) => id)).toEqual(["evt_803"]);
  await archive.close();
});
