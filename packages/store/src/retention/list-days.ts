import { query, type Queryable } from "../connection/create-store.ts";
import { PARTITIONED, type PartitionedTable } from "../schema/partitions.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** A day that is over, as its tables are. */
export interface StoredDay {
  readonly day: string;
  /** How many days ago it was. */
  readonly ago: number;
  readonly bytes: number;
  /** Where each of its tables stands: `leaving` is the state that an interrupted DETACH CONCURRENTLY leaves behind. */
  readonly tables: Readonly<Partial<Record<PartitionedTable, "attached" | "leaving" | "detached">>>;
}

// By the names of tables, since a table that was detached has nothing but its name.
const DAYS = statement({
  rows: { day: "text", ago: "int4", bytes: "int8", tables: column<StoredDay["tables"]>("jsonb") },
  text: sql`
    SELECT day::text, ${{ today: "date" }} - day AS ago, sum(pg_total_relation_size(oid))::int8 AS bytes,
           jsonb_object_agg(name, standing) AS tables
      FROM (SELECT c.oid, left(c.relname, -9) AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day,
                   CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'leaving'
                        ELSE 'attached' END AS standing
              FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
             WHERE c.relnamespace = 'penstock'::regnamespace AND c.relkind = 'r'
               AND c.relname ~ ${{ names: "text" }} OFFSET 0) AS parts
     WHERE day < ${{ today: "date" }}
     GROUP BY day ORDER BY day`,
});

/** The days that are over and still have tables, the oldest first; those that a crash left half gone among them. */
export async function listDays(db: Queryable, today: string): Promise<StoredDay[]> {
  const { rows } = await query(db, DAYS, { today, names: `^(${PARTITIONED.join("|")})_\\d{8}$` });
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
}

const TODAY = statement({ rows: { today: "text" }, text: sql`SELECT (now() AT TIME ZONE 'UTC')::date::text AS today` });

/** The day that it is (UTC), by the clock of Postgres. */
export async function readToday(db: Queryable): Promise<string> {
  return (await query(db, TODAY)).rows[0]?.today ?? "";
}

/** True when a crash has left a day half gone: it has to be finished soon, since what is kept of it cannot be seen meanwhile. */
export function isHalfGone({ tables }: StoredDay): boolean {
  return Object.values(tables).some((standing) => standing !== "attached");
}

/** The name of a table of a day, e.g. `penstock.events_20261001`. */
export const partitionOf = (table: PartitionedTable, day: string): string =>
  `penstock.${table}_${day.replaceAll("-", "")}`;

const BYTES = statement({
  rows: { bytes: "int8" },
  text: sql`
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 AS bytes FROM pg_catalog.pg_class
     WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r'`,
});

/** What all tables of Penstock take. */
export async function readBytes(db: Queryable): Promise<number> {
  return Number((await query(db, BYTES)).rows[0]?.bytes ?? 0);
}

/** The day that is so many days later. */
export function addDays(day: string, days: number): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}
