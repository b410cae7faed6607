import { query, type Store } from "../connection/create-store.ts";
import { PARTITION_DAYS } from "../schema/partitions.ts";
import { sql, statement } from "../connection/sql.ts";

/**
 * Longer than a transaction that inserts a batch takes. An event's time is the start of that transaction, and the batch's number is
 * drawn a moment later: of two events whose times are further apart, the older one has the lower seq.
 */
const SLACK_MS = 300_000;

const before = { before: "timestamptz" } as const;

/** The newest event of the days before the one in which it was. */
const NEWEST_BEFORE = statement({
  rows: { seq: "int8" },
  text: sql`
    SELECT e.seq
      FROM (${PARTITION_DAYS}) AS partition
     CROSS JOIN LATERAL (SELECT seq FROM penstock.events WHERE day = partition.day ORDER BY seq DESC LIMIT 1) AS e
     WHERE partition.day < (${before} AT TIME ZONE 'UTC')::date
     ORDER BY partition.day DESC LIMIT 1`,
});

const NEWEST_OF_DAY = statement({
  rows: { seq: "int8" },
  text: sql`
    SELECT seq FROM penstock.events e WHERE day = (${before} AT TIME ZONE 'UTC')::date
     ORDER BY e.day DESC, e.seq DESC LIMIT 1`,
});

const NEXT_OF_DAY = statement({
  rows: { seq: "int8", earlier: "bool" },
  text: sql`
    SELECT seq, received_at < ${before} AS earlier FROM penstock.events e
     WHERE day = (${before} AT TIME ZONE 'UTC')::date AND seq >= ${{ from: "int8" }} ORDER BY e.day, e.seq LIMIT 1`,
});

/**
 * A seq that is below all events received since then, with few older events above it, which `tailEvents` leaves out. Reads some
 * thirty rows, however many events there are. Events that are not processed yet are above it as well.
 */
export async function findTailStart(store: Store, since: Date): Promise<number> {
  const before = new Date(since.getTime() - SLACK_MS);
  const [newestBefore] = (await query(store.pool, NEWEST_BEFORE, { before })).rows;
  const [newest] = (await query(store.pool, NEWEST_OF_DAY, { before })).rows;
  // By halves, within the day. Only an older event is ever taken for the start, so it does no harm that times are not quite in
  // the order of seqs.
  let start = Number(newestBefore?.seq ?? 0);
  let end = Number(newest?.seq ?? start) + 1;
  while (end - start > 1) {
    const middle = Math.floor((start + end) / 2);
    const [row] = (await query(store.pool, NEXT_OF_DAY, { from: middle, before })).rows;
    if (row?.earlier) start = Number(row.seq);
    else end = middle;
  }
  return start;
}
