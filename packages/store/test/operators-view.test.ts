import { ENDPOINT_DEFAULTS, SKIPPED_WHILE_DISABLED } from "@penstock/schemas";
import {
  createEndpoint,
  listDeliveries,
  listErrorGroups,
  readDatabase,
  readEndpointPulses,
  readHandlerPaces,
  recoverEndpoint,
  type Store,
  unblockLane,
} from "@penstock/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
});
afterEach(() => store.close());

const stop = new AbortController().signal;
const IDS = ["evt_1", "evt_2", "evt_3", "evt_4"];

/** Deliveries of the four events to a subscriber, in these states. */
async function deliver(subscriber: string, states: readonly string[], columns = ""): Promise<void> {
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, changed_at, skip_reason, lane, lane_at)
     SELECT day, seq, $1, state, received_at + nth * interval '1 second',
            CASE WHEN state = 'skipped' THEN '${SKIPPED_WHILE_DISABLED}' END,
            ${columns === "" ? "NULL, NULL" : columns}
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (id, state, nth) JOIN penstock.events ON event_id = id`,
    [subscriber, IDS.slice(0, states.length), states],
  );
}

test("an endpoint's pulse is how its last deliveries ended, the oldest first, and how long they took", async () => {
  const settings = { ...ENDPOINT_DEFAULTS, url: "https://example.com/hook" };
  await createEndpoint(store, { id: "ep_1", secret: "sealed", settings }, "setup");
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  await deliver("ep_1", ["succeeded", "dead", "succeeded", "skipped"]);
  await deliver("inbox", ["succeeded"]);
  expect(await readEndpointPulses(store, ["ep_1", "ep_none"])).toEqual([
    {
      id: "ep_1",
      states: ["succeeded", "dead", "succeeded", "skipped"],
      p50Ms: 1_000,
      p99Ms: 3_000,
      lastSuccessAt: expect.stringMatching(/^\d{4}-/),
    },
  ]);
  const states = (await listDeliveries(store, { handler: "ep_1" })).map(({ state }) => state);
  expect(states).toEqual(["skipped", "succeeded", "dead", "succeeded"]);
});

test("the log of an endpoint is found by its index, however many deliveries of others there are", async () => {
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  await deliver("ep_1", ["succeeded"]);
  await store.pool.query(
    "INSERT INTO penstock.deliveries (day, seq, subscriber, state) SELECT day, seq, 'h' || n, 'succeeded' FROM penstock.events, generate_series(1, 5000) AS n",
  );
  await store.pool.query("ANALYZE penstock.deliveries");
  const { rows } = await store.pool.query<{ "QUERY PLAN": string }>(
    `EXPLAIN SELECT FROM penstock.deliveries WHERE subscriber = 'ep_1' AND starts_with(subscriber, 'ep_') ORDER BY day DESC, seq DESC LIMIT 100`,
  );
  expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toMatch(/Index.*subscriber_day_seq/);
});

test("recovering takes what is dead and what was skipped while disabled, once; a stop leaves it and counts it", async () => {
  const settings = { ...ENDPOINT_DEFAULTS, url: "https://example.com/hook" };
  await createEndpoint(store, { id: "ep_1", secret: "sealed", settings }, "setup");
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  await deliver("ep_1", ["dead", "skipped", "succeeded", "cancelled"]);
  expect(await recoverEndpoint(store, "ep_1", { actor: "ada", stop: AbortSignal.abort() })).toEqual({
    changed: 0,
    left: 2,
  });
  expect(await recoverEndpoint(store, "ep_1", { actor: "ada", stop })).toEqual({ changed: 2, left: 0 });
  expect(await recoverEndpoint(store, "ep_1", { actor: "ada", stop })).toEqual({ changed: 0, left: 0 });
  expect((await listDeliveries(store, { handler: "ep_1", state: "pending" })).map(({ eventId }) => eventId)).toEqual([
    "evt_2",
    "evt_1",
  ]);
});

test("a handler's pace is told from its last deliveries, and what failed is grouped by its error", async () => {
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  await deliver("inbox", ["succeeded", "succeeded", "succeeded", "dead"]);
  await store.pool.query(
    `INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
     SELECT day, seq, 'inbox', 1, now(), now() + seq * interval '1 ms', 'failed', 'TypeError', 'of ' || event_id, 'w' FROM penstock.events`,
  );
  expect(await readHandlerPaces(store)).toEqual([
    { subscriber: "inbox", perSecond: 3 / 900, p50Ms: 2_000, p99Ms: 3_000, succeeded: 3, failed: 1 },
  ]);
  expect(await listErrorGroups(store)).toMatchObject([
    { subscriber: "inbox", errorClass: "TypeError", count: 4, message: "of evt_4" },
  ]);
  expect(await listErrorGroups(store, { subscriber: "other" })).toEqual([]);
});

test("a lane goes on once the dead letter that blocks it is skipped, and no other is", async () => {
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  await store.pool.query(
    "INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead) VALUES ('tickets', 'effect', '{x}', 'strict', 'block')",
  );
  await store.pool.query("INSERT INTO penstock.lanes (subscriber, lane) VALUES ('tickets', 'cnv_1')");
  await deliver("tickets", ["dead", "pending"], "'cnv_1', received_at");
  const lane = { handler: "tickets", lane: "cnv_1" };
  expect(await unblockLane(store, lane, "ada")).toMatchObject({ outcome: "skipped", lane: { waiting: 1 } });
  expect(await unblockLane(store, lane, "ada")).toMatchObject({
    outcome: "not-dead",
    lane: { head: { eventId: "evt_2" } },
  });
  expect(await unblockLane(store, { ...lane, lane: "cnv_2" }, "ada")).toEqual({ outcome: "empty" });
});

test("the database tells its tables, its days and the transaction that holds up vacuum", async () => {
  await process(
    store,
    IDS.map((id) => newEvent(id)),
  );
  const holder = await store.pool.connect();
  await holder.query("BEGIN; SELECT txid_current()");
  const read = readDatabase(store);
  await read.catch(() => undefined);
  holder.release(true);
  const { tables, days, oldestTransaction, backlog, bytes, connections, version } = await read;
  expect(tables.find(({ name }) => name === "events")).toMatchObject({ schema: "penstock", partitions: 8 });
  expect(tables.find(({ name }) => name === "pending")).toMatchObject({ partitions: 0 });
  expect(days).toHaveLength(1);
  expect(days[0]!.tables).toMatchObject({ batches: expect.any(Number), events: expect.any(Number) });
  expect(days[0]!.bytes).toBeGreaterThan(8_192);
  expect(bytes).toBeGreaterThan(days[0]!.bytes);
  expect(oldestTransaction).toMatchObject({ application: expect.any(String), pid: expect.any(Number) });
  expect(connections.used).toBeLessThanOrEqual(connections.max);
  expect(backlog.pendingEvents).toBe(0);
  expect(version).toMatch(/^\d+/);
});
