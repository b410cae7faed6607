import { randomUUID } from "node:crypto";
import { createEngineStore } from "@penstock/store";
import { expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";
import { mostRowsIn, plansThatScan, withPlans } from "./plans.ts";

const EVENTS = 20_000;

test("a claim reads the events that it takes, however many wait and are stored beside them", async () => {
  const store = await openMigrated();
  // As a worker finds them that was away: an hour's events, whose statistics Postgres knows.
  await store.pool.query(
    `WITH stored AS (
       INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body)
       SELECT n, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_' || n, 'message.sent', ARRAY['cnt_' || n], '{}'
         FROM generate_series(1, $1::int) AS n RETURNING seq, day
     )
     INSERT INTO penstock.pending (seq, day, batch_id, bytes, accepted_at) SELECT seq, day, $2, 2, now() FROM stored`,
    [EVENTS, randomUUID()],
  );
  await store.pool.query("VACUUM ANALYZE penstock.events");
  await store.pool.query("VACUUM ANALYZE penstock.pending");

  const { result: left, plans } = await withPlans(store, async (alone) => {
    const engine = createEngineStore(alone, "w");
    // More than five times: Postgres may settle for one plan then, whatever the parameters are.
    for (let turn = 0; turn < 7; turn++) {
      const { events } = await engine.transaction((tx) => tx.claimBatch(randomUUID(), { limit: 200, maxBytes: 1e9 }));
      expect(events).toHaveLength(200);
    }
    return alone.pool.query<{ count: number }>("SELECT count(*)::int FROM penstock.pending");
  });
  expect(left.rows).toEqual([{ count: EVENTS - 7 * 200 }]);
  const claims = plans.filter((plan) => plan.includes("WITH own"));
  expect(claims).toHaveLength(7);
  expect(plansThatScan(claims)).toEqual([]);
  expect(mostRowsIn(claims)).toBeLessThanOrEqual(200);
  await store.close();
});
