import type { ClaimedBatch } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";
import { EVENT_COLUMNS, type EventRow, toStoredEvent } from "./stored-event.ts";

// First the job's own batch, then the oldest of any, so that a backlog of small batches is caught up at full speed.
// What another worker holds is skipped, never waited for. What was started alone before (tries > 0) is left to the
// careful way. Events come back sorted by subject, then seq: workers in arrival order deadlock on hot subjects.
// Both tables are looked up by key, row by row, whatever their statistics say: to read the whole of a day for two hundred
// of its events looks cheap to Postgres until that day is large (hence ANY of an array, and LIMIT 1, which also costs a
// fifth less than OFFSET 0: it makes a plan for the first row and not for all that might be).
const CLAIM = {
  name: "penstock-claim-batch",
  text: `
    WITH own AS MATERIALIZED (
      SELECT seq, day, bytes FROM penstock.pending
       WHERE batch_id = $1 AND tries = 0 ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED
    ), oldest AS MATERIALIZED (
      SELECT seq, day, bytes FROM penstock.pending
       WHERE batch_id <> $1 AND tries = 0 ORDER BY seq
       LIMIT greatest(0, $2::int - (SELECT count(*) FROM own)) FOR UPDATE SKIP LOCKED
    ), fitting AS (
      SELECT seq, day FROM (
        SELECT seq, day, row_number() OVER w AS nth, sum(bytes) OVER w AS total
          FROM (SELECT 0 AS part, * FROM own UNION ALL SELECT 1, * FROM oldest) AS candidates
        WINDOW w AS (ORDER BY part, seq)
      ) AS running WHERE nth = 1 OR total <= $3
    ), taken AS (
      DELETE FROM penstock.pending WHERE seq = ANY (ARRAY(SELECT seq FROM fitting))
    )
    SELECT ${EVENT_COLUMNS}, ((SELECT count(*) FROM own) + (SELECT count(*) FROM oldest))::int AS found
      FROM fitting f, LATERAL (
             SELECT * FROM penstock.events WHERE day = f.day AND seq = f.seq LIMIT 1
           ) AS e
     ORDER BY e.subjects[1] COLLATE "C" NULLS LAST, e.seq`,
};

const STARTED_ALONE = {
  name: "penstock-started-alone",
  text: "SELECT seq::text, day::text FROM penstock.pending WHERE batch_id = $1 AND tries > 0 ORDER BY seq",
};

/** Takes pending events for one transaction; see EngineTransaction.claimBatch. */
export async function claimBatch(
  client: pg.PoolClient,
  batchId: string,
  limits: { limit: number; maxBytes: number },
): Promise<ClaimedBatch> {
  const [claimed, alone] = await Promise.all([
    query<EventRow & { found: number }>(client, CLAIM, [batchId, limits.limit, limits.maxBytes]),
    query<{ seq: string; day: string }>(client, STARTED_ALONE, [batchId]),
  ]);
  return {
    events: claimed.rows.map(toStoredEvent),
    // Cut short by the number or by the bytes: the next claim finds what is left.
    more: (claimed.rows[0]?.found ?? 0) >= Math.min(limits.limit, claimed.rows.length + 1),
    startedAlone: alone.rows.map(({ seq, day }) => ({ seq: Number(seq), day })),
  };
}
