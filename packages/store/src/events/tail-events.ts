import type { StoredEvent } from "@penstock/engine";
import { BATCH_EVENTS } from "./batch-format.ts";
import { query, type Store } from "../connection/create-store.ts";
import { CursorAheadError } from "../connection/errors.ts";
import { PARTITION_DAYS } from "../schema/partitions.ts";
import { readEvents } from "./read-events.ts";
import { sql, statement } from "../connection/sql.ts";

// Events are ordered by seq, which the number of their batch decides. The number is drawn before the batch is committed, and the
// events appear when a worker has processed the batch. A reader that takes everything above the last seq would skip events that
// appear late. So a tail reads below the oldest batch that is pending or being written: nothing can appear there any more.
//
// A transaction that inserts a batch has its xid before it draws a number (insert-batch.ts). Three steps tell up to where all
// batches are written, each a statement of its own, in this order:
//   1. read which number was drawn last;
//   2. take an xid: it is higher than that of every transaction which has drawn up to that number;
//   3. once no transaction with a lower xid runs (pg_snapshot_xmin), all of them have ended, and every later statement sees
//      what they have committed.
// The xmax of a snapshot would not do for step 2: it is one more than the last xid that has *ended*, and the open transaction may
// have a higher xid.
//
// A batch that is written is in `pending` until its events are in `events`.
//
// The order is that of the primary key (day, seq), without an index for it, and the cursor is one number.

/** An event as a tail gives it. */
export interface TailedEvent {
  readonly seq: number;
  readonly source: string;
  /** As stored: cleaned for display. */
  readonly id: string | null;
  readonly type: string | null;
  readonly receivedAt: Date;
  readonly traceparent: string | null;
  /** The exact bytes. */
  readonly body: Buffer;
}

export interface TailFilter {
  /** All types by default. */
  readonly types?: readonly string[] | undefined;
  readonly source?: string | undefined;
  /** Only events received then or later, by the clock of Postgres. */
  readonly since?: Date | undefined;
}

export interface TailPage {
  /** In the order of seq; at most a thousand, and about 4 MiB of bodies. */
  readonly events: readonly TailedEvent[];
  /** The cursor: a tail that starts after it gives the events that follow, each once. */
  readonly cursor: number;
  /** `more`: read on at once. `soon`: events wait for a running transaction. `none`: nothing new. */
  readonly next: "more" | "soon" | "none";
}

export interface EventTail {
  /**
   * Reads the next events. After an error, another call gives the same events.
   *
   * @throws DatabaseUnavailableError
   * @throws CursorAheadError
   */
  read(): Promise<TailPage>;
}

/** How many events one page reads at most: its work is bounded, whatever the filter leaves out. */
const PAGE_EVENTS = 1_000;
const PAGE_BYTES = 4 * 1_048_576;

const LAST_BATCH = statement({
  rows: { batch: "int8" },
  text: sql`SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS batch FROM penstock.batch_number`,
});

const NEW_XID = statement({ rows: { xid: "text" }, text: sql`SELECT pg_current_xact_id()::text AS xid` });

const HAVE_ENDED = statement({
  rows: { ended: "bool" },
  text: sql`SELECT pg_snapshot_xmin(pg_current_snapshot()) >= ${{ below: "xid8" }} AS ended`,
});

const OLDEST_PENDING = statement({
  rows: { batch: "int8?" },
  text: sql`SELECT min(batch) AS batch FROM penstock.pending WHERE batch <= ${{ upTo: "int8" }}`,
});

const above = sql`seq > ${{ after: "int8" }} AND seq <= ${{ upTo: "int8" }}`;
const types = { types: "text[]?" } as const;
const source = { source: "text?" } as const;
const since = { since: "timestamptz?" } as const;

// From one day and the next, below where the third begins (`until`): at midnight the days of batches are not quite in the
// order of their numbers. LIMIT, or Postgres may read a whole partition for what it takes for most of it. Not prepared: a plan
// that was made when a day was empty would read all of it when it is not any more.
const PAGE = statement({
  rows: { seq: "int8?", day: "text?", matches: "bool?", until: "int8" },
  text: sql`
    WITH days AS MATERIALIZED (
      SELECT p.day, first.seq, row_number() OVER (ORDER BY p.day) AS nth
        FROM (${PARTITION_DAYS}) AS p
       CROSS JOIN LATERAL (SELECT seq FROM penstock.events WHERE day = p.day AND ${above} ORDER BY seq LIMIT 1) AS first
       ORDER BY p.day LIMIT 3
    ), bound AS (
      SELECT coalesce((SELECT seq - 1 FROM days WHERE nth = 3), ${{ upTo: "int8" }}) AS until
    )
    SELECT page.seq, page.day::text,
           (${types} IS NULL OR page.type = ANY(${types})) IS TRUE AND (${source} IS NULL OR page.source = ${source})
             AND (${since} IS NULL OR page.received_at >= ${since}) AND page.problem IS DISTINCT FROM 'erased' AS matches, bound.until
      FROM bound LEFT JOIN LATERAL (
             SELECT e.* FROM days CROSS JOIN LATERAL (
                      SELECT seq, day, source, type, received_at, problem FROM penstock.events
                       WHERE day = days.day AND ${above} ORDER BY seq LIMIT ${PAGE_EVENTS}) AS e
              WHERE days.nth < 3 AND e.seq <= bound.until ORDER BY e.seq LIMIT ${PAGE_EVENTS}) AS page ON true
     ORDER BY page.seq`,
});

/** The last seq of the batch whose number was drawn last, which may be uncommitted, or never be committed. 0 before the first. */
export async function readLastSeq(store: Store): Promise<number> {
  const [last] = (await query(store.pool, LAST_BATCH)).rows;
  return lastOf(Number(last?.batch ?? 0));
}

/** The highest seq that an event of a batch can have. */
const lastOf = (batch: number): number => (batch === 0 ? 0 : batch * BATCH_EVENTS + BATCH_EVENTS - 1);

/**
 * Follows the events after a seq as they are processed: skips none and repeats none, however late a transaction commits. A batch
 * that waits, or a transaction that stays open, holds up all later events.
 */
export function tailEvents(store: Store, options: TailFilter & { readonly after: number }): EventTail {
  const { types, source, since } = options;
  let cursor = options.after;
  /** All batches are written up to this seq. */
  let written = options.after;
  /** All batches are processed up to this seq. */
  let settled = options.after;
  /** All batches are written up to this seq once no transaction below this xid runs. */
  let mark: { readonly seq: number; readonly xid: string } | null = null;

  async function settle(): Promise<void> {
    if (mark === null) {
      const seq = await readLastSeq(store);
      if (seq < written)
        throw new CursorAheadError(`${written} is after the last event of this database, ${seq}: is it another one's?`);
      const [now] = seq > written ? (await query(store.pool, NEW_XID)).rows : [];
      if (now !== undefined) mark = { seq, xid: now.xid };
    }
    if (mark !== null && (await query(store.pool, HAVE_ENDED, { below: mark.xid })).rows[0]?.ended === true) {
      written = mark.seq;
      mark = null;
    }
    const { rows } = await query(store.pool, OLDEST_PENDING, { upTo: Math.floor(written / BATCH_EVENTS) });
    const pending = rows[0]?.batch ?? null;
    settled = Math.max(settled, pending === null ? written : Number(pending) * BATCH_EVENTS - 1);
  }

  return {
    async read() {
      if (cursor === settled) {
        await settle().catch((error: unknown) => {
          mark = null; // a Postgres that crashed may have forgotten an xid that wrote nothing
          throw error;
        });
        if (cursor === settled)
          return { events: [], cursor, next: mark === null && settled === written ? "none" : "soon" };
      }
      const { rows } = await query(store.pool, PAGE, { after: cursor, upTo: settled, types, source, since });
      const looked = rows.flatMap(({ seq, day, matches }) =>
        seq === null || day === null ? [] : [{ seq: Number(seq), day, matches: matches === true }],
      );
      const wanted = looked.filter(({ matches }) => matches);
      const found = await readEvents(store.pool, wanted, PAGE_BYTES);
      const [last, lastLooked] = [found.at(-1), looked.at(-1)];
      if (last !== undefined && found.length < wanted.length) cursor = last.seq;
      else cursor = looked.length === PAGE_EVENTS && lastLooked ? lastLooked.seq : Number(rows[0]?.until ?? settled);
      return { events: found.map(toTailedEvent), cursor, next: cursor < settled ? "more" : "soon" };
    },
  };
}

function toTailedEvent({ seq, source, eventId, type, receivedAt, traceparent, body }: StoredEvent): TailedEvent {
  return { seq, source, id: eventId, type, receivedAt, traceparent, body };
}
