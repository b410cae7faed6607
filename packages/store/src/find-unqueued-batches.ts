import { query, type Store } from "./create-store.ts";

// Takes no locks: a job that is there already stays as it is, and a row that was locked here would be skipped by a claim.
const FIND = {
  name: "penstock-find-unqueued",
  text: `
    SELECT batch_id FROM (
      SELECT batch_id, seq FROM penstock.pending
       WHERE accepted_at < now() - make_interval(secs => $1::float8 / 1000)
       ORDER BY seq LIMIT $2
    ) AS waiting
    GROUP BY batch_id ORDER BY min(seq) LIMIT $3`,
};

/**
 * The batches of the oldest events that have been pending for longer than `olderThanMs`: their job waits its turn, or
 * runs, or was never added, or the queue lost it. Bounded.
 */
export async function findUnqueuedBatches(
  store: Store,
  { olderThanMs, maxBatches = 200 }: { olderThanMs: number; maxBatches?: number },
): Promise<string[]> {
  const { rows } = await query<{ batch_id: string }>(store.pool, FIND, [olderThanMs, maxBatches * 5, maxBatches]);
  return rows.map(({ batch_id }) => batch_id);
}
