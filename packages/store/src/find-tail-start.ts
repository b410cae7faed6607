import { query, type Store } from "./create-store.ts";
import { PARTITION_DAYS } from "./partitions.ts";
import { readLastSeq } from "./tail-events.ts";

/**
 * Longer than a transaction takes that inserts events. An event's time is that of its transaction's start, its seq is
 * drawn a moment later: of two events whose times are further apart than this, the older one has the lower seq.
 */
const SLACK_MS = 300_000;

const OLDEST = `
  SELECT e.seq::text
    FROM (${PARTITION_DAYS}) AS partition
   CROSS JOIN LATERAL (SELECT seq FROM penstock.events WHERE day = partition.day ORDER BY seq LIMIT 1) AS e
   WHERE partition.day >= ($1::timestamptz AT TIME ZONE 'UTC')::date
   ORDER BY e.seq LIMIT 1`;

const NEWEST_OF_DAY = `
  SELECT seq::text FROM penstock.events e WHERE day = ($1::timestamptz AT TIME ZONE 'UTC')::date
   ORDER BY e.day DESC, e.seq DESC LIMIT 1`;

const NEXT_OF_DAY = `
  SELECT seq::text, received_at < $2::timestamptz AS earlier FROM penstock.events e
   WHERE day = ($2::timestamptz AT TIME ZONE 'UTC')::date AND seq >= $1::bigint ORDER BY e.day, e.seq LIMIT 1`;

/**
 * The seq after which everything lies that was received since then, and little else: `tailEvents` is to leave that out.
 * Reads some thirty rows, however many there are.
 */
export async function findTailStart(store: Store, since: Date): Promise<number> {
  const last = await readLastSeq(store);
  const before = new Date(since.getTime() - SLACK_MS);
  const oldest = await first(store, OLDEST, [before]);
  if (oldest === undefined) return last;
  const newest = await first(store, NEWEST_OF_DAY, [before]);
  if (newest === undefined) return Number(oldest.seq) - 1;
  // By halves, within the day in which it was. Only an event that came before is ever taken for the start, so that it
  // does no harm that times are not quite in the order of seqs.
  let start = Number(oldest.seq) - 1;
  let end = Number(newest.seq) + 1;
  while (end - start > 1) {
    const middle = Math.floor((start + end) / 2);
    const { rows } = await query<{ seq: string; earlier: boolean }>(store.pool, NEXT_OF_DAY, [middle, before]);
    const [row] = rows;
    if (row?.earlier) start = Number(row.seq);
    else end = middle;
  }
  return start;
}

/** The seq after which the events begin that are still kept. */
export async function findOldestStart(store: Store): Promise<number> {
  const oldest = await first(store, OLDEST, [new Date(0)]);
  return oldest === undefined ? readLastSeq(store) : Number(oldest.seq) - 1;
}

async function first(store: Store, sql: string, values: unknown[]): Promise<{ seq: string } | undefined> {
  const { rows } = await query<{ seq: string }>(store.pool, sql, values);
  return rows[0];
}
