import { commitBatch, createEngineStore, listEvents, type Store } from "@penstock/store";
import { eventually } from "@penstock/testing";
import { beforeEach, describe, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";
import { mostRowsIn, plansThatScan, withPlans } from "./plans.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  return () => store.close();
});

const claim = (batches: readonly number[], maxEvents = 200) => ({ batches, maxEvents, maxBytes: 1e9 });
const one = (id: string, body = id) => newEvent(id, { body: Buffer.from(body) });
const count = async (table: string): Promise<number> =>
  (await store.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM penstock.${table}`)).rows[0]!.n;

/** What is stored: `id`, or `id problem`, in the order of arrival. */
async function stored(): Promise<string[]> {
  const events = await listEvents(store, { limit: 1_000 });
  const { rows } = await store.pool.query<{ seq: string; problem: string | null }>(
    "SELECT seq, problem FROM penstock.events",
  );
  const problems = new Map(rows.map(({ seq, problem }) => [Number(seq), problem]));
  return events.toReversed().map(({ id, seq }) => [id, problems.get(seq)].filter(Boolean).join(" "));
}

test("a claim reads the batches that it takes, however many wait and are stored beside them", async () => {
  // As a worker finds them that was away: an hour's batches, whose statistics Postgres knows.
  await store.pool.query(
    `WITH stored AS (
       INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
       SELECT (now() AT TIME ZONE 'UTC')::date, n, now(), 2,
              json_build_array(json_build_object('source', 'buzzbip', 'id', 'a' || n, 'bytes', 1),
                               json_build_object('source', 'buzzbip', 'id', 'b' || n, 'bytes', 1)), 'xy'
         FROM generate_series(1, 20000) AS n RETURNING batch, day
     )
     INSERT INTO penstock.pending (batch, day, events, bytes, accepted_at) SELECT batch, day, 2, 2, now() FROM stored`,
  );
  await store.pool.query("VACUUM ANALYZE penstock.batches");
  await store.pool.query("VACUUM ANALYZE penstock.pending");
  const { plans } = await withPlans(store, async (alone) => {
    const engine = createEngineStore(alone, "w");
    // More than five times: Postgres may settle for one plan then, whatever the parameters are.
    for (let turn = 0; turn < 7; turn++) {
      const { events, more } = await engine.transaction((tx) => tx.claimBatches(claim([20_000 - turn])));
      expect([events.length, more]).toEqual([200, true]);
      expect(events.slice(-2).map(({ eventId }) => eventId)).toEqual([`a${20_000 - turn}`, `b${20_000 - turn}`]);
    }
  });
  expect(await count("pending")).toBe(20_000 - 700);
  const claims = plans.filter((plan) => plan.includes("WITH own"));
  expect(claims).toHaveLength(7);
  expect(plansThatScan(claims)).toEqual([]);
  expect(mostRowsIn(claims)).toBeLessThanOrEqual(200);
});

test.each(["sent", "fetched"])(
  "an event that was %s first is the same when it comes the other way, in other bytes",
  async (way) => {
    const sent = one("evt_1", '{"id":"evt_1"}');
    const fetched = { ...one("evt_1", '{ "id": "evt_1" }'), bodyVaries: true };
    await process(store, [way === "sent" ? sent : fetched]);
    await process(store, [way === "sent" ? fetched : sent]);
    await process(store, [fetched, sent, one("evt_2")]);
    expect(await stored()).toEqual(["evt_1", "evt_2"]);
  },
);

test("what is claimed and not committed is claimed again, whole", async () => {
  const batch = await commitBatch(store, [one("a"), one("b")]);
  const engine = createEngineStore(store, "w");
  const dying = engine.transaction(async (tx) => {
    expect((await tx.claimBatches(claim([batch]))).events).toHaveLength(2);
    throw new Error("it died");
  });
  await expect(dying).rejects.toThrow("it died");
  expect([await count("pending"), await count("events"), await count("event_keys")]).toEqual([1, 0, 0]);
  expect((await engine.transaction((tx) => tx.claimBatches(claim([batch])))).events).toHaveLength(2);
  expect([await count("pending"), await count("events"), await count("event_keys")]).toEqual([0, 2, 2]);
});

describe("copies", () => {
  test("in one batch are one event", async () => {
    expect(await process(store, [one("a"), one("b"), one("a"), one("a")])).toBe(2);
    expect(await stored()).toEqual(["a", "b"]);
  });

  test("are all that a batch holds: nothing of it is left", async () => {
    await process(store, [one("a"), one("b")]);
    expect(await process(store, [one("b"), one("a")])).toBe(0);
    expect([await count("pending"), await count("batches")]).toEqual([0, 1]);
    expect(await stored()).toEqual(["a", "b"]);
  });

  test("are half of a batch: the other half is recorded, with its bodies", async () => {
    await process(store, [one("a"), one("c")]);
    expect(await process(store, [one("a"), one("b"), one("c"), one("d")])).toBe(2);
    expect(await stored()).toEqual(["a", "c", "b", "d"]);
    const { rows } = await store.pool.query(
      "SELECT convert_from(penstock.body_of(day, seq, body_at, body_bytes), 'UTF8') AS body FROM penstock.events ORDER BY seq",
    );
    expect(rows.map(({ body }) => body as string)).toEqual(["a", "c", "b", "d"]);
  });

  test("with another body are events of their own, marked, each once", async () => {
    expect(await process(store, [one("a", "1"), one("a", "2"), one("a", "1"), one("a", "3"), one("a", "2")])).toBe(3);
    expect(await process(store, [one("a", "4"), one("a", "2"), one("a", "1")])).toBe(1);
    expect(await stored()).toEqual(["a", "a id-conflict", "a id-conflict", "a id-conflict"]);
  });

  test("whose body may be another are told by their id alone", async () => {
    const varying = (id: string, body: string) => ({ ...one(id, body), bodyVaries: true });
    expect(await process(store, [varying("a", "1"), varying("a", "2")])).toBe(1);
    expect(await process(store, [varying("a", "3")])).toBe(0);
  });

  test.each([
    ["the same body", "1", 0],
    ["another body", "2", 1],
  ])("with %s that two workers record at once: the second waits for the first", async (_, body, fresh) => {
    const [first, second] = [await commitBatch(store, [one("a", "1")]), await commitBatch(store, [one("a", body)])];
    const engine = createEngineStore(store, "w");
    const recorded: number[] = [];
    const only = (batch: number) => ({ ...claim([batch]), onlyThese: true });
    let waiting: Promise<unknown> | undefined;
    await engine.transaction(async (tx) => {
      recorded.push((await tx.claimBatches(only(first))).events.length);
      waiting = engine.transaction(
        async (other) => void recorded.push((await other.claimBatches(only(second))).events.length),
      );
      await eventually(async () => {
        const { rowCount } = await store.pool.query(
          "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'",
        );
        expect(rowCount).toBe(1);
      });
    });
    await waiting;
    expect(recorded).toEqual([1, fresh]);
  });
});

test("what waits is listed, shown and found also while no worker runs", async () => {
  await process(store, [one("old")]);
  await commitBatch(store, [newEvent("new", { type: "y", subjects: ["cnt_2"] }), one("old"), one("x".repeat(300))]);
  const listed = await listEvents(store);
  expect(listed.map(({ id, status, bytes }) => [id?.slice(0, 5), status, bytes])).toEqual([
    ["xxxxx", "pending", 300],
    ["old", "pending", 3],
    ["new", "pending", 3],
    ["old", "processed", 3],
  ]);
  const ids = async (filter: object) => (await listEvents(store, filter)).map(({ id }) => id);
  expect(await ids({ type: "y" })).toEqual(["new"]);
  expect(await ids({ subject: "cnt_2", status: "pending" })).toEqual(["new"]);
  expect(await ids({ status: "processed" })).toEqual(["old"]);
  expect(await ids({ event: "old" })).toEqual(["old", "old"]);
  expect(await ids({ limit: 2, before: listed[0] })).toEqual(["old", "new"]);
  expect(await ids({ event: String(listed[2]!.seq) })).toEqual(["new"]);
});

test("the bytes of one event can be overwritten, and its neighbours keep theirs", async () => {
  await process(
    store,
    ["first", "person", "last"].map((id) => one(id, id.repeat(1_000))),
  );
  await store.pool.query(
    `UPDATE penstock.batches b SET bodies = overlay(bodies PLACING decode(repeat('00', e.body_bytes), 'hex') FROM e.body_at + 1)
       FROM penstock.events e WHERE e.day = b.day AND e.seq / 1024 = b.batch AND e.event_id = 'person'`,
  );
  const engine = createEngineStore(store, "w");
  const bodies: (string | undefined)[] = [];
  for (const event of (await listEvents(store)).toReversed()) {
    bodies.push((await engine.transaction((tx) => tx.readEvent(event)))?.body.toString());
  }
  expect(bodies).toEqual(["first".repeat(1_000), "\0".repeat(6_000), "last".repeat(1_000)]);
});
