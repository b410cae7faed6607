import { createEngineStore, listLanes, type Store } from "@penstock/store";
import { beforeAll, expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";

// A million deliveries of the past, a lane that a dead letter blocks with 100,000 behind it, one of the same size where the
// newest wins, and 1,000 others.
let store: Store;
beforeAll(async () => {
  store = await openMigrated();
  const client = await store.pool.connect();
  await client.query("SET statement_timeout = 0");
  await client.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, lane, lane_at, next_attempt_at, attempts)
     SELECT (now() AT TIME ZONE 'UTC')::date, seq, CASE WHEN seq % 2 = 0 THEN 'h' ELSE 'newest' END,
            CASE WHEN seq > 200001 THEN 'succeeded' WHEN seq = 0 THEN 'dead' ELSE 'pending' END,
            CASE WHEN seq > 200001 THEN 'lane ' || seq % 1000 ELSE 'large' END, now() + seq * interval '1 ms', NULL, 1
       FROM generate_series(0, 1000000) AS seq
     UNION ALL
     SELECT (now() AT TIME ZONE 'UTC')::date, 2000000 + n, s, 'pending', 'lane ' || n, now(), now(), 0
       FROM generate_series(1, 1000) AS n, unnest(ARRAY['h', 'newest']) AS s`,
  );
  await client.query(
    `INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
     SELECT seq, day, now(), 'buzzbip', 'evt_' || seq, 'message.sent', '{}', 0, 0 FROM penstock.deliveries
      WHERE seq IN (0, 200001) OR seq > 2000000 AND subscriber = 'h'`,
  );
  await client.query(
    `INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead)
     VALUES ('h', 'transactional', '{}', 'strict', 'block'), ('newest', 'effect', '{}', 'newest-wins', 'continue')`,
  );
  await client.query("VACUUM ANALYZE penstock.deliveries");
  client.release();
  return () => store.close();
});

/** What was executed, node by node with the rows it read, while `work` ran. */
async function plansOf(work: (store: Store) => Promise<unknown>): Promise<string> {
  const plans: string[] = [];
  const client = await store.pool.connect();
  try {
    await client.query(`
      LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
      SET auto_explain.log_timing = off; SET auto_explain.log_nested_statements = on; SET client_min_messages = log`);
    client.on("notice", ({ message }) => plans.push(message ?? ""));
    await work({ ...store, pool: client as unknown as Store["pool"] });
  } finally {
    client.release(true);
  }
  expect(plans.join("\n")).toContain("Query Text");
  return plans.join("\n");
}

/** Nodes that scanned a table of more than a page, or read more rows than `most`, those that a filter removed included. */
function costly(plans: string, most: number): string[] {
  return plans.split("\n").filter((line) => {
    const read = Number(/actual rows=(\d+)/.exec(line)?.[1] ?? /Rows Removed by \w+: (\d+)/.exec(line)?.[1] ?? 0);
    return read > most || (/Seq Scan on (deliveries|events|lanes)/.test(line) && read > 100);
  });
}

const claim = (by: Store, subscriber: string, limit: number) =>
  createEngineStore(by, "w").claimLanes({
    ...(subscriber === "h" ? { order: "strict", onDead: "block" } : { order: "newest-wins", onDead: "continue" }),
    subscriber,
    limit,
    leaseMs: 60_000,
    interrupted: false,
  });

test.each(["h", "newest"])("what waits in a large lane of %s costs the claim of others nothing", async (subscriber) => {
  // More than five times: Postgres may settle for one plan then, whatever the parameters are.
  for (let turn = 0; turn < 7; turn++) {
    await store.pool.query(
      "UPDATE penstock.deliveries SET next_attempt_at = now() WHERE subscriber = $1 AND lane = 'large' AND seq IN (2, 3)",
      [subscriber],
    );
    let claimed: number | undefined;
    const plans = await plansOf(async (by) => {
      claimed = (await claim(by, subscriber, 10)).filter(({ lane }) => lane !== "large").length;
    });
    expect(claimed).toBeGreaterThanOrEqual(9);
    expect(costly(plans, 1_100)).toEqual([]);
  }
});

test("of all lanes a list reads the heads, and what waits up to what is counted", async () => {
  let lanes: Awaited<ReturnType<typeof listLanes>> = [];
  const plans = await plansOf(async (by) => (lanes = await listLanes(by, {}, 10)));
  expect(lanes[0]).toMatchObject({ handler: "h", lane: "lane 1" });
  expect(costly(plans, 1_100)).toEqual([]);
  const large = await plansOf(async (by) => (lanes = await listLanes(by, { handler: "h", lane: "large" }, 10)));
  expect(lanes).toMatchObject([{ state: "blocked", waiting: 1_000, head: { seq: 0, state: "dead" } }]);
  expect(costly(large, 1_100)).toEqual([]);
});
