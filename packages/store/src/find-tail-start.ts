import { query, type Store } from "./create-store.ts";
import { PARTITION_DAYS } from "./partitions.ts";

/**
 * Longer than a transaction takes that inserts a batch. An event's time is that of its transaction's start, the number of
 * its batch is drawn a moment later: of two events whose times are further apart than this, the older one has the lower seq.
 */
const SLACK_MS = 300_000;

/** The newest event of the days before the one in which it was. */
const NEWEST_BEFORE = `
  SELECT e.seq::text
    FROM (${PARTITION_DAYS}) AS partition
   CROSS JOIN LATERAL (SELECT seq FROM penstock.events WHERE day = partition.day ORDER BY seq DESC LIMIT 1) AS e
   WHERE partition.day < ($1::timestamptz AT TIME ZONE 'UTC')::date
   ORDER BY partition.day DESC LIMIT 1`;

const NEWEST_OF_DAY = `
  SELECT seq::text FROM penstock.events e WHERE day = ($1::timestamptz AT TIME ZONE 'UTC')::date
   ORDER BY e.day DESC, e.seq DESC LIMIT 1`;

const NEXT_OF_DAY = `
  SELECT seq::text, received_at < $2::timestamptz AS earlier FROM penstock.events e
   WHERE day = ($2::timestamptz AT TIME ZONE 'UTC')::date AND seq >= $1::bigint ORDER BY e.day, e.seq LIMIT 1`;

/**
 * The seq after which everything lies that was received since then, and little else: `tailEvents` is to leave that out.
 * Reads some thirty rows, however many there are. What is not processed yet lies after it, too.
 */
export async function findTailStart(store: Store, since: Date): Promise<number> {
  const before = new Date(since.getTime() - SLACK_MS);
  const [newestBefore, newest] = [
    await first(store, NEWEST_BEFORE, [before]),
    await first(store, NEWEST_OF_DAY, [before]),
  ];
  // By halves, within the day in which it was. Only an event that came before is ever taken for the start, so that it
  // does no harm that times are not quite in the order of seqs.
  let start = newestBefore ?? 0;
  let end = (newest ?? start) + 1;
  while (end - start > 1) {
    const middle = Math.floor((start + end) / 2);
    const { rows } = await query<{ seq: string; earlier: boolean }>(store.pool, NEXT_OF_DAY, [middle, before]);
    const [row] = rows;
    if (row?.earlier) start = Number(row.seq);
    else end = middle;
  }
  return start;
}

async function first(store: Store, sql: string, values: unknown[]): Promise<number | undefined> {
  const { rows } = await query<{ seq: string }>(store.pool, sql, values);
  return rows[0] === undefined ? undefined : Number(rows[0].seq);
}
