import { query, type Queryable } from "../connection/create-store.ts";
import { type RetentionPolicy, termsOf } from "./policy.ts";
import { sql, statement } from "../connection/sql.ts";

/** Rows of a table without days that are older than their term. */
export interface RestCount {
  readonly table: string;
  /** Their term. */
  readonly days: number;
  /** Counted up to {@link REST_COUNT_LIMIT}. */
  readonly rows: number;
}

export const REST_COUNT_LIMIT = 10_000;
/** Rows that one statement deletes: it takes a moment, and locks nothing that is in use. */
const AT_ONCE = 5_000;

const cutoff = sql`(${{ today: "date" }} - ${{ days: "int4" }})`;
// The ledger finds an event by its id, and is kept as long as the event is. A day that is kept has its table.
const NO_TABLE = "to_regclass('penstock.events_' || to_char(day, 'YYYYMMDD')) IS NULL";

const rule = (table: string, days: (policy: RetentionPolicy) => number, condition: typeof cutoff) => ({
  table,
  days,
  count: statement({
    rows: { rows: "int4" },
    text: sql`SELECT count(*)::int AS rows FROM (SELECT FROM penstock.${table} WHERE ${condition} LIMIT ${REST_COUNT_LIMIT}) AS old`,
  }),
  forget: statement({
    text: sql`
      DELETE FROM penstock.${table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM penstock.${table} WHERE ${condition} LIMIT ${AT_ONCE} FOR UPDATE SKIP LOCKED))`,
  }),
});

const longest = (policy: RetentionPolicy): number => termsOf(policy).longest;
/** What proves something is kept as long as the ledger, and both longer than any event. */
const ofProof = (policy: RetentionPolicy): number => Math.max(policy.dedupeWindowDays, longest(policy));

/** What is not stored by day. Most of it is about events, and is kept as long as an event can be. */
const RULES = [
  rule("event_keys", ofProof, sql`day < ${cutoff} AND ${NO_TABLE}`),
  rule("erased_events", ofProof, sql`day < ${cutoff} AND ${NO_TABLE}`),
  rule("erasures", ofProof, sql`ended_at < ${cutoff}`),
  rule("event_copies", longest, sql`received_at < ${cutoff}`),
  rule("retention_log", ofProof, sql`day < ${cutoff} AND ${NO_TABLE}`),
  rule("audit_log", ofProof, sql`at < ${cutoff}`),
  // A mark tells what is older than what its lane has applied: there is nothing left that could be.
  rule(
    "lanes",
    longest,
    sql`coalesce(applied_at, '-infinity') < ${cutoff}
        AND NOT EXISTS (SELECT FROM penstock.deliveries d
                         WHERE d.subscriber = lanes.subscriber AND d.lane = lanes.lane
                           AND d.state IN ('pending', 'running', 'retrying', 'dead'))`,
  ),
  rule("replays", longest, sql`status <> 'running' AND ended_at < ${cutoff}`),
  // Not what is ignored: it would be opened anew.
  rule("issues", longest, sql`state = 'resolved' AND greatest(changed_at, last_seen) < ${cutoff}`),
  rule("refused_requests", longest, sql`at < ${cutoff}`),
];

/** How many rows would go. */
export async function countRest(db: Queryable, policy: RetentionPolicy, today: string): Promise<RestCount[]> {
  const counts: RestCount[] = [];
  for (const { table, days, count } of RULES) {
    const { rows } = await query(db, count, { today, days: days(policy) });
    counts.push({ table, days: days(policy), rows: rows[0]?.rows ?? 0 });
  }
  return counts;
}

/** Deletes them, in small steps; a stop is heard between two. Returns how many rows of which table went. */
export async function forgetRest(
  db: Queryable,
  policy: RetentionPolicy,
  today: string,
  signal: AbortSignal,
): Promise<RestCount[]> {
  const gone: RestCount[] = [];
  for (const { table, days, forget } of RULES) {
    let rows = 0;
    for (let more = true; more && !signal.aborted;) {
      const { rowCount } = await query(db, forget, { today, days: days(policy) });
      rows += rowCount ?? 0;
      more = rowCount === AT_ONCE;
    }
    gone.push({ table, days: days(policy), rows });
  }
  return gone;
}
