import { findUnqueuedBatches, type Store } from "@penstock/store";
import { beforeEach, expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  return () => store.close();
});

/** Pending batches, `count` in a row from `from`. */
const addPending = (from: number, count: number, age = "1 minute") =>
  store.pool.query(
    `INSERT INTO penstock.pending (batch, day, events, bytes, accepted_at)
     SELECT batch, current_date, 1, 1, now() - $3::interval FROM generate_series($1::int, $1::int + $2::int - 1) AS batch`,
    [from, count, age],
  );

test("batches that have waited for long are found, the oldest first, and no more than so many", async () => {
  await addPending(4, 10);
  await addPending(1, 3);
  await addPending(20, 5, "0 seconds");
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_000 })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_000, maxBatches: 4 })).toEqual([1, 2, 3, 4]);
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_600_000 })).toEqual([]);
});
