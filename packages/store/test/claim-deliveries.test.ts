import { createEngineStore } from "@penstock/store";
import { expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";
import { mostRowsIn, mostRowsLeftOut, plansThatScan, withPlans } from "./plans.ts";

const WAITING = 20_000;

test("a claim of deliveries reads those that it takes, however many wait for this handler and for others", async () => {
  const store = await openMigrated();
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, changed_at, next_attempt_at)
     SELECT (now() AT TIME ZONE 'UTC')::date, n, subscriber, 'pending', 0, now(), now() - n * interval '1 ms'
       FROM generate_series(1, $1::int) AS n, unnest(ARRAY['mine', 'other']) AS s (subscriber)`,
    [WAITING],
  );
  await store.pool.query("VACUUM ANALYZE penstock.deliveries");

  const { result: left, plans } = await withPlans(store, async (alone) => {
    const engine = createEngineStore(alone, "w");
    // More than five times: Postgres may settle for one plan then, whatever the parameters are.
    for (let turn = 0; turn < 7; turn++) {
      const claim = { subscriber: "mine", limit: 200, leaseMs: 60_000, interrupted: false, alike: true };
      const claimed = await engine.claimDeliveries(claim);
      expect(claimed).toHaveLength(200);
      expect(Math.min(...claimed.map(({ seq }) => seq))).toBe(WAITING - 200 * (turn + 1) + 1);
    }
    return alone.pool.query<{ count: number }>("SELECT count(*)::int FROM penstock.deliveries WHERE state = 'pending'");
  });
  expect(left.rows).toEqual([{ count: 2 * WAITING - 7 * 200 }]);
  const claims = plans.filter((plan) => plan.includes("WITH due"));
  expect(claims).toHaveLength(7);
  expect(plansThatScan(claims)).toEqual([]);
  expect(mostRowsIn(claims)).toBeLessThanOrEqual(200);
  expect(mostRowsLeftOut(claims)).toBe(0);
  await store.close();
});
