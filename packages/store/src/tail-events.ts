import { query, type Store } from "./create-store.ts";
import { CursorAheadError } from "./errors.ts";
import { PARTITION_DAYS } from "./partitions.ts";

// Events follow each other by seq, which is drawn before its transaction commits: a reader that just takes what has a
// higher seq than the last one skips what commits late. So it reads up to a seq that is settled only: below it nothing
// can appear any more.
//
// Whoever inserts events has its xid before it draws a seq (insert-events.ts). So a seq is settled by three steps, each a
// statement of its own and in this order:
//   1. read which seq was drawn last;
//   2. take an xid: it is higher than that of every transaction which has drawn up to that seq;
//   3. once no transaction with a lower xid runs (pg_snapshot_xmin), all of them have ended, and what they have committed
//      is seen by every later statement.
// The xmax of a snapshot would not do for 2: it is one more than the last xid that has *ended*, and the transaction that
// is waited for may have a higher one.
//
// What is settled lies in the order of (day, seq), the primary key: no index for this, and the cursor is one number.

/** An event as it came, for whoever follows events as they come. */
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
  /** All unless given. */
  readonly types?: readonly string[] | undefined;
  readonly source?: string | undefined;
  /** Only what was received then or later, by the clock of Postgres. */
  readonly since?: Date | undefined;
}

export interface TailPage {
  /** In the order of seq; at most a thousand, and about 4 MiB of bodies. */
  readonly events: readonly TailedEvent[];
  /** Where to go on: a tail that starts after it gives what follows these events, each once. */
  readonly cursor: number;
  /** `more` is there to be read; `soon`: something waits for a transaction that runs; `none`: nothing has come. */
  readonly next: "more" | "soon" | "none";
}

export interface EventTail {
  /**
   * The next events. After an error it may be called again, and gives the same.
   *
   * @throws DatabaseUnavailableError
   * @throws CursorAheadError
   */
  read(): Promise<TailPage>;
}

/** How many seqs a page goes through at most: the work of a page is bounded, whatever the filter leaves out. */
const PAGE_SEQS = 1_000;
const PAGE_BYTES = 4 * 1_048_576;

const LAST_SEQ = `SELECT (CASE WHEN is_called THEN last_value ELSE last_value - 1 END)::text AS value FROM penstock.event_seq`;

// LIMIT, or Postgres may read a whole partition for what it takes for most of it. Not prepared: a plan that was made when a
// day was empty would read all of it when it is not any more.
const PAGE = `
    SELECT seq::text, source, event_id, type, received_at, traceparent, body, matching FROM (
      SELECT e.*, count(*) OVER () AS matching, sum(octet_length(e.body)) OVER (ORDER BY e.seq) - octet_length(e.body) AS before
        FROM (${PARTITION_DAYS}) AS partition
       CROSS JOIN LATERAL (
         SELECT seq, source, event_id, type, received_at, traceparent, body FROM penstock.events
          WHERE day = partition.day AND seq > $1::bigint AND seq <= $2::bigint ORDER BY seq LIMIT ${PAGE_SEQS}
       ) AS e
       WHERE ($3::text[] IS NULL OR e.type = ANY($3)) AND ($4::text IS NULL OR e.source = $4)
         AND ($5::timestamptz IS NULL OR e.received_at >= $5)
    ) AS page WHERE before < ${PAGE_BYTES} ORDER BY page.seq`;

interface PageRow {
  seq: string;
  source: string;
  event_id: string | null;
  type: string | null;
  received_at: Date;
  traceparent: string | null;
  body: Buffer;
  matching: string;
}

/** The seq that was drawn last; its event may not be committed yet, or never will be. 0 before the first. */
export async function readLastSeq(store: Store): Promise<number> {
  return Number(await readValue(store, LAST_SEQ));
}

/**
 * Follows the events after a seq, as they are committed: skips none and gives none twice, however late a transaction
 * commits. A transaction that stays open, whatever it does, holds up what comes after it.
 */
export function tailEvents(store: Store, options: TailFilter & { readonly after: number }): EventTail {
  const { types = null, source = null, since = null } = options;
  let cursor = options.after;
  let settled = options.after;
  /** A seq that is settled once no transaction below this xid runs. */
  let mark: { readonly seq: number; readonly xid: string } | null = null;

  async function settle(): Promise<void> {
    if (mark === null) {
      const seq = await readLastSeq(store);
      if (seq < settled)
        throw new CursorAheadError(`${settled} is after the last event of this database, ${seq}: is it another one's?`);
      if (seq === settled) return;
      mark = { seq, xid: await readValue(store, "SELECT pg_current_xact_id()::text AS value") };
    }
    const ended = "SELECT (pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8)::text AS value";
    if ((await readValue(store, ended, [mark.xid])) === "true") {
      settled = mark.seq;
      mark = null;
    }
  }

  return {
    async read() {
      if (cursor === settled) {
        await settle().catch((error: unknown) => {
          mark = null; // a Postgres that crashed may have forgotten an xid that wrote nothing
          throw error;
        });
        if (cursor === settled) return { events: [], cursor, next: mark === null ? "none" : "soon" };
      }
      const end = Math.min(settled, cursor + PAGE_SEQS);
      const { rows } = await query<PageRow>(store.pool, PAGE, [cursor, end, types, source, since]);
      const events = rows.map(toTailedEvent);
      const last = events.at(-1);
      cursor = last !== undefined && Number(rows[0]?.matching) > rows.length ? last.seq : end;
      return { events, cursor, next: cursor < settled ? "more" : "soon" };
    },
  };
}

async function readValue(store: Store, sql: string, values?: unknown[]): Promise<string> {
  const { rows } = await query<{ value: string }>(store.pool, sql, values);
  return rows[0]?.value ?? "";
}

function toTailedEvent(row: PageRow): TailedEvent {
  return {
    seq: Number(row.seq),
    source: row.source,
    id: row.event_id,
    type: row.type,
    receivedAt: row.received_at,
    traceparent: row.traceparent,
    body: row.body,
  };
}
