import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  commitBatch,
  createEngineStore,
  createReplay,
  type EventTail,
  findTailStart,
  findUnqueuedBatches,
  readLastSeq,
  type Store,
  tailEvents,
  type TailPage,
} from "@penstock/store";
import { eventually } from "@penstock/testing";
import type pg from "pg";
import { beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { newEvent as newEventOf, openMigrated, process } from "./open-test-store.ts";
import { mostRowsIn, plansThatScan, withPlans } from "./plans.ts";

let store: Store;
let start: number;
beforeAll(async () => {
  store = await openMigrated();
  return () => store.close();
});
beforeEach(async () => void (start = await readLastSeq(store)));

const newEvent = (id: string, type = "message.received", body = Buffer.from(id)) =>
  newEventOf(id, { type, body, subjects: [] });
const insert = (ids: readonly string[], on = store): Promise<number> =>
  commitBatch(
    on,
    ids.map((id) => newEvent(id)),
  );

/** Does what workers do until nothing waits. */
async function processAll(): Promise<void> {
  for (const batch of await findUnqueuedBatches(store, { olderThanMs: 0 })) {
    const claim = { batches: [batch], onlyThese: true, maxEvents: 1_000, maxBytes: 1e9 };
    await createEngineStore(store, "w").transaction((tx) => tx.claimBatches(claim));
  }
}

/** What a tail gives until nothing is left. */
async function readAll(tail: EventTail): Promise<string[]> {
  const ids: string[] = [];
  await eventually(async () => {
    const { events, next } = await tail.read();
    ids.push(...events.map(({ id }) => id!));
    expect(next).toBe("none");
  });
  return ids;
}

/** The next events; transactions of other tests on the same server may hold them up. */
async function readSome(tail: EventTail): Promise<TailPage> {
  return eventually(async () => {
    const page = await tail.read();
    expect(page.events).not.toEqual([]);
    return page;
  });
}

/** A store of one connection, in a transaction. */
async function begin(): Promise<{ alone: Store; client: pg.PoolClient }> {
  const client = await store.pool.connect();
  await client.query("BEGIN");
  return { alone: { ...store, pool: { query: client.query.bind(client) } as unknown as pg.Pool }, client };
}

test("what commits late is given when it does, and nothing before it that came after", async () => {
  const tail = tailEvents(store, { after: start });
  const { alone, client } = await begin();
  await insert(["late"], alone);
  // Nothing that ended has a higher xid than the one that is waited for.
  for (let n = 0; n < 3; n++) expect(await tail.read()).toEqual({ events: [], cursor: start, next: "soon" });
  await insert(["early 1", "early 2"]);
  for (let n = 0; n < 3; n++) expect((await tail.read()).events).toEqual([]);
  await processAll();
  for (let n = 0; n < 3; n++) expect((await tail.read()).events).toEqual([]);
  await client.query("COMMIT");
  client.release();
  // It is written, and waits.
  for (let n = 0; n < 3; n++) expect(await tail.read()).toMatchObject({ events: [], next: "soon" });
  await processAll();
  expect(await readAll(tail)).toEqual(["late", "early 1", "early 2"]);
});

test("events come in their order where their numbers get longer", async () => {
  const fresh = await openMigrated();
  onTestFinished(() => fresh.close());
  // From the 10th batch on they have five digits.
  for (let n = 1; n <= 12; n++) await process(fresh, [newEvent(`evt_${n}`)]);
  expect(await readAll(tailEvents(fresh, { after: 0 }))).toEqual(Array.from({ length: 12 }, (_, n) => `evt_${n + 1}`));
});

test.each([
  ["intake", async () => void (await insert([randomUUID()]))],
  [
    "a replay with another body",
    async () => {
      const id = randomUUID();
      const body = newEvent(id);
      const event = { day: "2026-06-01", seq: 1 };
      await createReplay(store, { id, request: {}, event, body }, "test");
    },
  ],
])("%s has its xid before it draws a number", async (_, write) => {
  const holder = await store.pool.connect();
  onTestFinished(() => holder.release(true));
  await holder.query(`
    SELECT pg_advisory_lock(1);
    CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
    CREATE TRIGGER wait BEFORE INSERT ON penstock.pending FOR EACH ROW EXECUTE FUNCTION public.wait()`);
  // Every 32nd nextval writes to the log and takes an xid for it: that was the last one.
  await holder.query(
    `SELECT nextval('penstock.batch_number') FROM generate_series(0, (SELECT log_cnt FROM penstock.batch_number))`,
  );
  start = await readLastSeq(store);
  const tail = tailEvents(store, { after: start });
  const written = write();
  await eventually(async () => expect(await readLastSeq(store)).toBeGreaterThan(start));
  for (let n = 0; n < 3; n++) expect((await tail.read()).next).toBe("soon");
  await holder.query("SELECT pg_advisory_unlock(1)");
  await written;
  await processAll();
  expect(await readAll(tail)).toHaveLength(1);
  await holder.query("DROP FUNCTION public.wait CASCADE");
});

test("many writers that commit in any order, or not at all: each event once, in order, by several readers in turn", async () => {
  const given: { id: string; seq: number }[] = [];
  let writing = true;
  const writers = Promise.all(
    Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; n < 25; n++) {
        const { alone, client } = await begin();
        const ids = Array.from({ length: 1 + Math.floor(Math.random() * 4) }, (__, k) => `${writer} ${n} ${k}`);
        await insert(ids, alone);
        await sleep(Math.random() * 12);
        await client.query(Math.random() < 0.2 ? "ROLLBACK" : "COMMIT");
        client.release();
      }
    }),
  ).finally(() => void (writing = false));
  let cursor = start;
  const worker = (async () => {
    while (writing) await processAll();
  })();
  while (writing) {
    const tail = tailEvents(store, { after: cursor }); // as one does that was stopped and goes on
    for (let n = 0; n < 10; n++) {
      const page = await tail.read();
      given.push(...page.events.map(({ id, seq }) => ({ id: id!, seq })));
      cursor = page.cursor;
    }
  }
  await Promise.all([writers, worker]);
  await processAll();
  const rest = await readAll(tailEvents(store, { after: cursor }));
  const { rows } = await store.pool.query<{ event_id: string }>(
    "SELECT event_id FROM penstock.events WHERE seq > $1 ORDER BY seq",
    [start],
  );
  expect([...given.map(({ id }) => id), ...rest]).toEqual(rows.map(({ event_id }) => event_id));
});

test("pages are bounded by what they go through and by bytes, and a filter leaves out what it should", async () => {
  const large = Buffer.alloc(1_500_000, "x");
  const small = Array.from({ length: 2_500 }, (_, n) => newEvent(`small ${n}`, n % 1_000 === 999 ? "rare" : "small"));
  await process(
    store,
    Array.from({ length: 5 }, (_, n) => newEvent(`large ${n}`, "large", large)),
  );
  for (let from = 0; from < small.length; from += 500) await process(store, small.slice(from, from + 500));
  const pages = tailEvents(store, { after: start });
  const sizes: number[] = [];
  for (let rest = 2_505; rest > 0;) {
    const { events } = await readSome(pages);
    sizes.push(events.length);
    rest -= events.length;
  }
  expect(sizes).toEqual([2, 2, 1_000, 1_000, 501]);
  expect(await readAll(tailEvents(store, { after: start, types: ["rare", "none"] }))).toEqual([
    "small 999",
    "small 1999",
  ]);
  expect(await readAll(tailEvents(store, { after: start, source: "other" }))).toEqual([]);
});

test("a start by time is found by halves, and pages are read by the primary key", async () => {
  await using store = Object.assign(await openMigrated(), {
    async [Symbol.asyncDispose](this: Store) {
      await this.close();
    },
  });
  // An event every 10 s of three days that end at noon, each up to 2 min later or earlier than its seq says.
  await store.pool.query(`
    CREATE TABLE penstock.events_20260101 PARTITION OF penstock.events FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
    CREATE TABLE penstock.events_20260102 PARTITION OF penstock.events FOR VALUES FROM ('2026-01-02') TO ('2026-01-03');
    CREATE TABLE penstock.events_20260103 PARTITION OF penstock.events FOR VALUES FROM ('2026-01-03') TO ('2026-01-04');
    CREATE TABLE penstock.batches_20260101 PARTITION OF penstock.batches FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
    CREATE TABLE penstock.batches_20260102 PARTITION OF penstock.batches FOR VALUES FROM ('2026-01-02') TO ('2026-01-03');
    CREATE TABLE penstock.batches_20260103 PARTITION OF penstock.batches FOR VALUES FROM ('2026-01-03') TO ('2026-01-04');
    INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
    SELECT 1024 * nextval('penstock.batch_number'), (at AT TIME ZONE 'UTC')::date, at, 'buzzbip', 'old', 'x', '{}', 0, 0
      FROM generate_series(0, 21599) AS n,
           LATERAL (SELECT timestamptz '2026-01-01T00:00:00Z' + n * interval '10 s' + (n * 7919 % 240 - 120) * interval '1 s'
                           + CASE WHEN n < 20 THEN interval '2 min' ELSE '0' END AS at) AS t;
    INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
    SELECT day, seq / 1024, received_at, 1, '[]', '' FROM penstock.events;
    ANALYZE penstock.events, penstock.batches`);
  const of = async (sql: string): Promise<number> => {
    const { rows } = await store.pool.query<{ n: string }>(
      `SELECT ${sql} AS n FROM penstock.events WHERE event_id = 'old'`,
    );
    return Number(rows[0]!.n);
  };
  for (const time of ["2026-01-01T00:00:00Z", "2026-01-02T17:31:07Z", "2026-01-03T00:00:30Z", "2026-01-03T11:55:00Z"]) {
    const found = await findTailStart(store, new Date(time));
    const first = await of(`min(seq) FILTER (WHERE received_at >= '${time}')`);
    expect(found).toBeLessThan(first);
    expect(found).toBeGreaterThan(first - 100 * 1_024);
  }
  expect(await findTailStart(store, new Date(Date.now() + 86_400_000))).toBe(await of("max(seq)"));
  expect(await findTailStart(store, new Date(0))).toBe(0);

  const since = new Date("2026-01-02T17:31:07Z");
  const { result, plans } = await withPlans(store, async (alone) => {
    const tail = tailEvents(alone, { after: await findTailStart(alone, since), since });
    return readSome(tail);
  });
  expect(result.events.length).toBeGreaterThan(900);
  expect(result.events.every(({ receivedAt }) => receivedAt >= since)).toBe(true);
  expect(plansThatScan(plans.map((plan) => plan.replaceAll(/Seq Scan on pg_inherits.*/g, "")))).toEqual([]);
  expect(mostRowsIn(plans)).toBeLessThanOrEqual(2_000);
});

test("days with few events are gone through, each of them", async () => {
  await using store = Object.assign(await openMigrated(), {
    async [Symbol.asyncDispose](this: Store) {
      await this.close();
    },
  });
  for (const [at, day] of ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"].entries()) {
    for (const table of ["events", "batches"]) {
      const name = `penstock.${table}_${day.replaceAll("-", "")}`;
      await store.pool.query(
        `CREATE TABLE ${name} PARTITION OF penstock.${table} FOR VALUES FROM ('${day}') TO ('2026-01-0${at + 2}')`,
      );
    }
    await store.pool.query(
      `INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
       SELECT $1::date, nextval('penstock.batch_number'), $1::date, 1, '[]', ''`,
      [day],
    );
  }
  await store.pool.query(`
    INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
    SELECT batch * 1024, day, received_at, 'buzzbip', 'of ' || day, 'x', '{}', 0, 0 FROM penstock.batches`);
  expect(await readAll(tailEvents(store, { after: 0 }))).toEqual([
    "of 2026-01-01",
    "of 2026-01-02",
    "of 2026-01-03",
    "of 2026-01-04",
  ]);
});

test("a tail of another database says so", async () => {
  await expect(tailEvents(store, { after: start + 1_000_000 }).read()).rejects.toMatchObject({ code: "CURSOR_AHEAD" });
});
