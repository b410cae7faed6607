import { query, type Queryable } from "../connection/create-store.ts";
import { partitionOf } from "./list-days.ts";
import { PARTITIONED } from "../schema/partitions.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** Why a day stays whole for now. */
export interface Hold {
  /**
   * `unprocessed`: batches wait for a worker. `replay`: a replay that runs has not read the day yet. `running`: a delivery is under way.
   * `in-use`: an old transaction reads it. `restored`: it was brought back from its archive a short time ago. `unarchived`: it must be
   * archived before it goes.
   */
  readonly reason: "unprocessed" | "replay" | "running" | "in-use" | "restored" | "unarchived";
  /**
   * The replay, the handler, or the process of Postgres and its application; until when it is kept; why it does not count as
   * archived.
   */
  readonly of: string;
  readonly count: number;
}

/** A transaction that has held a table for longer would have a detach wait, and what is kept of the day be out of sight. */
const OLD_TRANSACTION_S = 10;

/** How long what was brought back from an archive stays, for people to look at what became of it. */
const RESTORED_DAYS = 7;

const PENDING = statement({
  rows: { pending: "bool" },
  text: sql`SELECT EXISTS (SELECT FROM penstock.pending WHERE day = ${{ day: "date" }}) AS pending`,
});

/** Whether batches of a day wait for a worker. */
export async function hasPending(db: Queryable, day: string): Promise<boolean> {
  return (await query(db, PENDING, { day })).rows[0]?.pending === true;
}

const HOLDS = statement({
  rows: { reason: column<Hold["reason"]>("text"), of: "text", count: "int4" },
  text: sql`
    SELECT 'unprocessed' AS reason, '' AS of, count(*)::int AS count FROM penstock.pending
     WHERE day = ${{ day: "date" }} HAVING count(*) > 0
    UNION ALL
    SELECT 'replay', id, 1 FROM penstock.replays
     WHERE status = 'running' AND NOT exhausted
       AND ${{ day: "date" }} >= coalesce(cursor_day, event_day, (since AT TIME ZONE 'UTC')::date, '-infinity')
       AND ${{ day: "date" }} <= least(event_day, (until AT TIME ZONE 'UTC')::date, (created_at AT TIME ZONE 'UTC')::date)
    UNION ALL
    SELECT 'running', subscriber, count(*)::int FROM penstock.deliveries
     WHERE day = ${{ day: "date" }} AND state = 'running' AND lease_until > now() GROUP BY subscriber
    UNION ALL
    SELECT 'restored', to_char((restored_at + interval '${RESTORED_DAYS} days') AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 1
      FROM penstock.archives
     WHERE day = ${{ day: "date" }} AND restored_at > now() - interval '${RESTORED_DAYS} days'
    UNION ALL
    SELECT DISTINCT 'in-use', a.pid || ' ' || a.application_name, 1
      FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
       AND l.relation = ANY (${{ tables: "text[]" }}::regclass[]) AND l.pid <> pg_backend_pid()
       AND a.xact_start < now() - interval '${OLD_TRANSACTION_S} seconds'
     ORDER BY 1, 2`,
});

/** What keeps a whole day for now; none: it may go, but for the events of it that are kept. */
export async function findHolds(db: Queryable, day: string): Promise<Hold[]> {
  const tables = PARTITIONED.flatMap((table) => [`penstock.${table}`, partitionOf(table, day)]);
  return (await query(db, HOLDS, { day, tables })).rows;
}
