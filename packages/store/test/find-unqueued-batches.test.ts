import { randomUUID } from "node:crypto";
import { findUnqueuedBatches, type Store } from "@penstock/store";
import { beforeEach, expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  return () => store.close();
});

/** Pending events of a batch, `count` in a row from `from`. */
const addPending = (batchId: string, from: number, count: number, age = "1 minute") =>
  store.pool.query(
    `INSERT INTO penstock.pending (seq, day, batch_id, bytes, accepted_at)
     SELECT seq, current_date, $1, 1, now() - $4::interval FROM generate_series($2::int, $2::int + $3::int - 1) AS seq`,
    [batchId, from, count, age],
  );

test("batches are found in the order of their oldest event, also behind one of thousands of events", async () => {
  const [large, small, interleaved, recent] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()] as const;
  await addPending(large, 1, 3_000);
  await addPending(interleaved, 3_001, 1);
  await addPending(small, 3_002, 2);
  await addPending(interleaved, 3_004, 1);
  await addPending(recent, 3_005, 5, "0 seconds");
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_000 })).toEqual([large, interleaved, small]);
});

test("the number of batches is bounded, and the oldest come first", async () => {
  const batches = Array.from({ length: 10 }, () => randomUUID());
  for (const [at, batchId] of batches.entries()) await addPending(batchId, 1 + at * 3, 3);
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_000, maxBatches: 4 })).toEqual(batches.slice(0, 4));
  expect(await findUnqueuedBatches(store, { olderThanMs: 3_600_000 })).toEqual([]);
});
