import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

// Takes no locks: adding a job that exists changes nothing, and a claim would skip a locked row.
const FIND = statement({
  name: "penstock-find-unqueued",
  rows: { batch: "int8" },
  text: sql`
    SELECT batch FROM penstock.pending
     WHERE accepted_at < now() - make_interval(secs => ${{ olderThanMs: "float8" }} / 1000) ORDER BY batch LIMIT ${{ maxBatches: "int4" }}`,
});

/**
 * The oldest batches that have been pending for longer than `olderThanMs`: the job waits or runs, was never added, or the queue has
 * lost it. Bounded.
 */
export async function findUnqueuedBatches(
  store: Store,
  { olderThanMs, maxBatches = 200 }: { olderThanMs: number; maxBatches?: number },
): Promise<number[]> {
  const { rows } = await query(store.pool, FIND, { olderThanMs, maxBatches });
  return rows.map(({ batch }) => Number(batch));
}
