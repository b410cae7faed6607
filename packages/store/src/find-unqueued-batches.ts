import { query, type Store } from "./create-store.ts";

// Takes no locks: a job that is there already stays as it is, and a row that was locked here would be skipped by a claim.
// Steps from each batch to the next one by seq, over however many rows it has: one large batch must not hide what is
// newer. A batch whose rows are not in a row takes several steps; bounded all the same.
const FIND = {
  name: "penstock-find-unqueued",
  text: `
    WITH RECURSIVE waiting AS (
      (SELECT batch_id, seq, 1 AS step FROM penstock.pending
        WHERE accepted_at < now() - make_interval(secs => $1::float8 / 1000) ORDER BY seq LIMIT 1)
      UNION ALL
      SELECT next.batch_id, next.seq, w.step + 1
        FROM waiting w, LATERAL (
               SELECT batch_id, seq FROM penstock.pending
                WHERE seq > w.seq AND batch_id <> w.batch_id
                  AND accepted_at < now() - make_interval(secs => $1::float8 / 1000)
                ORDER BY seq LIMIT 1) AS next
       WHERE w.step < 2 * $2::int
    )
    SELECT batch_id FROM waiting GROUP BY batch_id ORDER BY min(seq) LIMIT $2`,
};

/**
 * The batches of the oldest events that have been pending for longer than `olderThanMs`: their job waits its turn, or
 * runs, or was never added, or the queue lost it. Bounded.
 */
export async function findUnqueuedBatches(
  store: Store,
  { olderThanMs, maxBatches = 200 }: { olderThanMs: number; maxBatches?: number },
): Promise<string[]> {
  const { rows } = await query<{ batch_id: string }>(store.pool, FIND, [olderThanMs, maxBatches]);
  return rows.map(({ batch_id }) => batch_id);
}
