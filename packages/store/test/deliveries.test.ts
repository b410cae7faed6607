import {
  changeDeliveries,
  type DeliveryChange,
  createEngineStore,
  createReplay,
  findDueEndpoints,
  findDueHandlers,
  listDeliveries,
  listEvents,
  type NewReplay,
  pauseHandler,
  showDeliveries,
  showEvents,
  type Store,
} from "@penstock/store";
import { beforeEach, describe, expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";
import { mostRowsIn, mostRowsLeftOut, plansThatScan, withPlans } from "./plans.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  return () => store.close();
});

/** Adds events `evt_1` to `evt_<count>`, each with a delivery to `a` and one to `b`. */
async function seed(count: number, state = "'dead'"): Promise<void> {
  await store.pool.query(
    `INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
     SELECT n, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_' || n,
            CASE WHEN n % 2 = 0 THEN 'message.sent' ELSE 'message.received' END, ARRAY['cnt_' || n % 10], 0, 0
       FROM generate_series(1, $1::int) AS n`,
    [count],
  );
  await store.pool.query(`
    INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
    SELECT DISTINCT day, seq / 1024, now(), 1, '[]', ''::bytea FROM penstock.events;
    INSERT INTO penstock.event_words (day, seq, last_seq, events, received_at)
    SELECT day, min(seq), max(seq), count(*), now() FROM penstock.events GROUP BY day, seq / 50`);
  await store.pool.query(
    `INSERT INTO penstock.event_keys (key, seq, day, body_hash)
     SELECT encode(substr(sha256('\\x696400'::bytea || 'buzzbip'::bytea || '\\x00'::bytea || event_id::bytea), 1, 16), 'hex')::uuid,
            seq, day, gen_random_uuid()
       FROM penstock.events WHERE seq < 10000`,
  );
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
     SELECT e.day, e.seq, s, ${state}, 3 FROM penstock.events e, unnest(ARRAY['a', 'b']) AS s`,
  );
}

async function states(): Promise<string[]> {
  const { rows } = await store.pool.query<{ line: string }>(
    `SELECT subscriber || seq || ' ' || state || ' ' || attempts AS line FROM penstock.deliveries ORDER BY 1`,
  );
  return rows.map(({ line }) => line);
}

describe("listing deliveries", () => {
  test("the newest come first, and a page goes on where the one before ended", async () => {
    await seed(3);
    const names = (rows: { seq: number; subscriber: string }[]): string[] =>
      rows.map(({ seq, subscriber }) => `${subscriber}${seq}`);
    const first = await listDeliveries(store, {}, { limit: 4 });
    expect(names(first)).toEqual(["b3", "a3", "b2", "a2"]);
    expect(names(await listDeliveries(store, {}, { limit: 4, after: first.at(-1)! }))).toEqual(["b1", "a1"]);
  });

  test.each([
    [{ handler: "a" }, ["a3", "a2", "a1"]],
    [{ handler: "a", type: "message.sent" }, ["a2"]],
    [{ handler: "b", subject: "cnt_3" }, ["b3"]],
    [{ event: "evt_1" }, ["b1", "a1"]],
    [{ event: "2", handler: "a" }, ["a2"]],
    [{ state: "retrying" as const }, []],
    [{ source: "other" }, []],
    [{ until: new Date(Date.now() - 3_600_000) }, []],
    [{ since: new Date(Date.now() - 3_600_000), handler: "a", event: "evt_1" }, ["a1"]],
    [{ since: new Date(Date.now() + 3_600_000) }, []],
  ])("%j finds %j", async (filter, expected) => {
    await seed(3);
    const rows = await listDeliveries(store, filter);
    expect(rows.map(({ seq, subscriber }) => `${subscriber}${seq}`)).toEqual(expected);
  });

  test("of a delivery that failed the last error is told", async () => {
    await seed(1);
    await store.pool.query(
      `INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class,
                                      error_message, worker)
       SELECT day, seq, 'a', n, now() + n * interval '1 s', now() + n * interval '1 s', 'failed', 'Error', 'try ' || n, 'w'
         FROM penstock.events, generate_series(1, 2) AS n`,
    );
    const rows = await listDeliveries(store);
    expect(rows.map(({ subscriber, error }) => [subscriber, error])).toEqual([
      ["b", null],
      ["a", "Error: try 2"],
    ]);
  });
});

describe("changing deliveries", () => {
  test.each<[DeliveryChange, string, string]>([
    ["retry", "dead", "pending 0"],
    ["retry", "retrying", "pending 0"],
    ["retry", "skipped", "pending 0"],
    ["retry", "cancelled", "pending 0"],
    ["retry", "succeeded", "succeeded 3"],
    ["retry", "running", "running 3"],
    ["retry", "pending", "pending 3"],
    ["skip", "pending", "skipped 3"],
    ["skip", "retrying", "skipped 3"],
    ["skip", "dead", "skipped 3"],
    ["skip", "running", "running 3"],
    ["skip", "succeeded", "succeeded 3"],
    ["skip", "cancelled", "cancelled 3"],
    ["cancel", "pending", "cancelled 3"],
    ["cancel", "retrying", "cancelled 3"],
    ["cancel", "dead", "dead 3"],
    ["cancel", "running", "running 3"],
    ["cancel", "succeeded", "succeeded 3"],
    ["cancel", "skipped", "skipped 3"],
  ])("%s makes of %s: %s", async (change, before, after) => {
    await seed(1, `'${before}'`);
    const [b] = await listDeliveries(store, { handler: "b" });
    const changed = await changeDeliveries(store, change, [b!], { actor: "test" });
    expect(await states()).toEqual([`a1 ${before} 3`, `b1 ${after}`]);
    expect(changed).toHaveLength(after.startsWith(before) ? 0 : 1);
  });

  test("what is to be retried is due at once, with its attempts kept on record", async () => {
    await seed(1);
    await changeDeliveries(store, "retry", await listDeliveries(store, { handler: "a" }), { actor: "test" });
    const { rows } = await store.pool.query(
      "SELECT subscriber FROM penstock.deliveries WHERE state = 'pending' AND next_attempt_at <= now()",
    );
    expect(rows).toEqual([{ subscriber: "a" }]);
  });
});

describe("one event's deliveries, shown whole", () => {
  test("tell each try with its error, worker and trace", async () => {
    await seed(2);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await store.pool.query(
      `INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class,
                                      error_message, worker, traceparent)
       SELECT day, seq, 'a', n, now() + n * interval '1 s', now() + n * interval '1.5 s', 'failed', 'Error', 'try ' || n,
              'w' || n, $1 FROM penstock.events, generate_series(1, 2) AS n`,
      [traceparent],
    );
    const shown = await showDeliveries(store, { event: "1" });
    expect(shown.map(({ subscriber, state, seq, attemptLog }) => [subscriber, state, seq, attemptLog.length])).toEqual([
      ["b", "dead", 1, 0],
      ["a", "dead", 1, 2],
    ]);
    expect(shown[1]?.attemptLog[1]).toMatchObject({
      attempt: 2,
      outcome: "failed",
      errorClass: "Error",
      errorMessage: "try 2",
      worker: "w2",
      traceparent,
    });
    expect(await showDeliveries(store, { event: "2", handler: "b" })).toMatchObject([{ seq: 2, attemptLog: [] }]);
    expect(await showDeliveries(store, { event: "3" })).toEqual([]);
  });
});

describe("on a million deliveries", () => {
  test("no list scans a table, whatever it asks for", async () => {
    await seed(500_000, "CASE WHEN e.seq % 1000 = 0 THEN 'dead' ELSE 'succeeded' END");
    await store.pool.query(`
    INSERT INTO penstock.quarantine (seq, day, reason) SELECT seq, day, 'unknown-type' FROM penstock.events
     WHERE seq % 20 = 1;
    ANALYZE penstock.events, penstock.deliveries, penstock.quarantine, penstock.event_keys, penstock.pending`);
    const dead = { state: "dead" as const };
    const { plans } = await withPlans(store, async (alone) => {
      for (const filter of [{}, dead, { handler: "a", ...dead }, { handler: "a" }]) {
        const rows = await listDeliveries(alone, filter, { limit: 100 });
        expect(rows).toHaveLength(100);
        const next = await listDeliveries(alone, filter, { limit: 100, after: rows.at(-1)! });
        expect(next[0]!.seq).toBeLessThanOrEqual(rows.at(-1)!.seq);
      }
      const quarantined = { status: "quarantined" as const };
      for (const filter of [
        {},
        dead,
        { handler: "a", ...dead },
        { handler: "a" },
        { type: "message.sent" },
        quarantined,
      ]) {
        const rows = await listEvents(alone, { ...filter, limit: 100 });
        expect(rows).toHaveLength(100);
        const next = await listEvents(alone, { ...filter, limit: 100, before: rows.at(-1)! });
        expect(next).toHaveLength(100);
        expect(next[0]!.seq).toBeLessThan(rows.at(-1)!.seq);
      }
      for (const event of ["evt_4711", "4711"]) {
        expect(await showEvents(alone, event)).toMatchObject([{ seq: 4711 }]);
        expect(await showDeliveries(alone, { event })).toHaveLength(2);
        expect(await listEvents(alone, { event })).toMatchObject([{ seq: 4711 }]);
      }
    });
    expect(plansThatScan(plans)).toEqual([]);
  });

  test("no page of a replay scans a table, whatever it takes, and none looks at more than it must", async () => {
    await seed(500_000, "CASE WHEN e.seq % 1000 = 0 THEN 'dead' ELSE 'succeeded' END");
    await store.pool.query(`
      INSERT INTO penstock.handlers (name, kind, types)
      SELECT unnest(ARRAY['a', 'b', 'new']), 'transactional', '{message.sent}';
      INSERT INTO penstock.quarantine (seq, day, reason) SELECT seq, day, 'unknown-type' FROM penstock.events
       WHERE seq % 20 = 1;
      ANALYZE penstock.events, penstock.deliveries, penstock.quarantine, penstock.handlers, penstock.pending`);
    const replays: Omit<NewReplay, "id" | "request">[] = [
      { state: "dead" },
      { state: "dead", handler: "a" },
      { state: "succeeded", subject: "nobody" },
      { state: "succeeded", handler: "new" },
      { handler: "a" },
      { handler: "new", among: "missing", type: "message.sent" },
      { among: "quarantined" },
      { type: "nothing" },
    ];
    for (const [at, replay] of replays.entries())
      await createReplay(store, { ...replay, id: `r${at}`, request: {} }, "test");
    const { plans } = await withPlans(store, async (alone) => {
      const engineStore = createEngineStore(alone, "test");
      for (let page = 0; page < 2 * replays.length; page++) {
        expect(await engineStore.transaction((tx) => tx.nextReplayPage())).not.toBeNull();
      }
    });
    expect(plansThatScan(plans)).toEqual([]);
    expect(mostRowsIn(plans)).toBeLessThanOrEqual(2_000);
    expect(mostRowsLeftOut(plans)).toBeLessThanOrEqual(2_000);
  });

  test("handlers for which something is due are found without a look at what waits, and none that is paused", async () => {
    await store.pool.query(
      "INSERT INTO penstock.handlers (name, kind, types) VALUES ('a', 'effect', '{}'), ('c', 'effect', '{}')",
    );
    await seed(500_000, "CASE WHEN s = 'a' AND e.seq % 2 = 0 THEN 'retrying' ELSE 'succeeded' END");
    await store.pool.query(
      "UPDATE penstock.deliveries SET next_attempt_at = now() - seq * interval '1 ms' WHERE state = 'retrying'",
    );
    await store.pool.query("ANALYZE penstock.deliveries; ANALYZE penstock.handlers");
    for (const paused of [false, true]) {
      await pauseHandler(store, "a", paused, "test");
      const { plans } = await withPlans(store, async (alone) => {
        // More often than Postgres plans a named statement anew.
        for (let turn = 0; turn < 7; turn++) {
          expect(await findDueHandlers(alone, ["a", "c", "unknown"])).toEqual(paused ? [] : ["a"]);
        }
      });
      expect(plansThatScan(plans)).toEqual([]);
      expect(mostRowsIn(plans)).toBeLessThanOrEqual(3);
    }
  });

  test("what is due of an endpoint is claimed by a plan made once, and those with nothing due are not looked at", async () => {
    await store.pool.query(`
      INSERT INTO penstock.handlers (name, kind, types)
      SELECT name, 'endpoint', '{*}'
        FROM (SELECT 'ep_' || n FROM generate_series(1, 2000) AS n UNION VALUES ('a'), ('b')) AS n (name);
      INSERT INTO penstock.endpoints (id, url, header_name, secret, concurrency, disable_after_ms)
      SELECT name, 'https://example.com', 'X-Signature', '', 10, 1 FROM penstock.handlers`);
    await seed(50_000, "CASE WHEN s = 'a' THEN 'pending' ELSE 'succeeded' END");
    await store.pool.query(`
      UPDATE penstock.deliveries SET next_attempt_at = now() - seq * interval '1 ms' WHERE state = 'pending';
      ANALYZE penstock.deliveries, penstock.events, penstock.handlers, penstock.endpoints`);
    const claims = await withPlans(store, async (alone) => {
      for (let turn = 0; turn < 7; turn++) {
        const { claimed } = await createEngineStore(alone, "test").claimForOutside({
          subscriber: "a",
          limit: 48,
          leaseMs: 60_000,
          lanes: null,
        });
        expect(claimed.map(({ delivery }) => delivery.seq).toSorted((a, b) => b - a)).toEqual(
          Array.from({ length: 48 }, (_, n) => 50_000 - turn * 48 - n),
        );
      }
      const { rows } = await alone.pool.query(
        "SELECT generic_plans > 0 AS once FROM pg_prepared_statements WHERE name = 'penstock-claim-deliveries'",
      );
      expect(rows).toEqual([{ once: true }]);
    });
    expect(plansThatScan(claims.plans)).toEqual([]);
    expect(mostRowsIn(claims.plans)).toBeLessThanOrEqual(48);
    for (const paused of [false, true]) {
      await pauseHandler(store, "a", paused, "test");
      const { result, plans } = await withPlans(store, (alone) => findDueEndpoints(alone, null, 100));
      expect(result).toEqual(paused ? [] : ["a"]);
      expect(plansThatScan(plans)).toEqual([]);
      expect(mostRowsIn(plans)).toBeLessThanOrEqual(5);
    }
  });
});
