import type { BatchClaim } from "@penstock/engine";
import type pg from "pg";
import type { BatchRow } from "./batch-format.ts";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** The average of this many of the oldest batches estimates how many events a batch has. */
const SAMPLE = 10;

// The job's own batches first, then the oldest, so that a backlog of small batches is worked off at full speed. Batches that
// another worker holds are skipped, or waited for. About as many are locked as will fit: a locked batch that does not fit is
// kept from other workers.
// Both tables are looked up by key, row by row, whatever the statistics say: to Postgres, reading a whole day for some batches
// looks cheap until the day is large. Hence ANY of an array, and LIMIT 1, which costs a fifth less than OFFSET 0.
const claim = (name: string, held: "" | "SKIP LOCKED") =>
  statement({
    name,
    rows: { batch: "text", day: "text", received_us: "text", meta: "text", bodies: "bytea", more: "bool" },
    text: sql`
    WITH own AS MATERIALIZED (
      SELECT batch, day, events, bytes FROM penstock.pending
       WHERE batch = ANY (${{ batches: "int8[]" }}) ORDER BY batch FOR UPDATE ${held}
    ), room AS MATERIALIZED (
      SELECT CASE WHEN ${{ onlyThese: "bool" }} THEN 0 ELSE
               ceil(greatest(0, ${{ maxEvents: "int4" }} - (SELECT coalesce(sum(events), 0) FROM own))
                    / (SELECT greatest(1, avg(events))
                         FROM (SELECT events FROM penstock.pending ORDER BY batch LIMIT ${SAMPLE}) AS sample)) END AS batches
    ), oldest AS MATERIALIZED (
      SELECT batch, day, events, bytes FROM penstock.pending
       WHERE batch <> ALL (${{ batches: "int8[]" }}) AND batch <> ALL (${{ except: "int8[]" }}) ORDER BY batch LIMIT (SELECT batches FROM room) FOR UPDATE SKIP LOCKED
    ), found AS (
      SELECT (SELECT count(*) FROM own) + count(*) AS batches,
             count(*) >= (SELECT batches FROM room) AND NOT ${{ onlyThese: "bool" }} AS may_be_more FROM oldest
    ), fitting AS MATERIALIZED (
      SELECT batch, day FROM (
        SELECT batch, day, row_number() OVER w AS nth, sum(events) OVER w AS events, sum(bytes) OVER w AS bytes
          FROM (SELECT 0 AS part, * FROM own UNION ALL SELECT 1, * FROM oldest) AS candidates
        WINDOW w AS (ORDER BY part, batch)
      ) AS running WHERE nth = 1 OR (events <= ${{ maxEvents: "int4" }} AND bytes <= ${{ maxBytes: "int8" }})
    )
    SELECT b.batch::text, b.day::text, (extract(epoch FROM b.received_at) * 1000000)::int8::text AS received_us,
           b.meta, b.bodies,
           (SELECT may_be_more OR batches > (SELECT count(*) FROM fitting) FROM found) AS more
      FROM fitting f, LATERAL (SELECT * FROM penstock.batches WHERE day = f.day AND batch = f.batch LIMIT 1) AS b
     ORDER BY b.batch`,
  });

const CLAIM = claim("penstock-claim-batches", "SKIP LOCKED");
const WAIT = claim("penstock-wait-for-batches", "");

/** Locks pending batches for one transaction, and reads them; see EngineTransaction.claimBatches. */
export async function claimBatches(
  client: pg.PoolClient,
  { batches, onlyThese = false, waits = false, except = [], maxEvents, maxBytes }: BatchClaim,
): Promise<{ readonly rows: readonly BatchRow[]; readonly more: boolean }> {
  const { rows } = await query(client, waits ? WAIT : CLAIM, { batches, onlyThese, except, maxEvents, maxBytes });
  return { rows, more: rows[0]?.more ?? false };
}
