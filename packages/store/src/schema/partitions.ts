import type pg from "pg";
import { command, connect, query, type Store } from "../connection/create-store.ts";
import { codeOf } from "../connection/errors.ts";
import { sql, statement } from "../connection/sql.ts";

/** The tables with a partition for each day. `batches` is last: an accepted batch then finds the other partitions made. */
export const PARTITIONED = ["events", "deliveries", "attempts", "effects", "event_words", "batches"] as const;

export type PartitionedTable = (typeof PARTITIONED)[number];

/**
 * SQL: the days that have a partition, read from the names of partitions. OFFSET 0: without it, Postgres may evaluate a later
 * condition first, and read a day in the name of every table.
 */
export const PARTITION_DAYS = `
  SELECT to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') AS day
    FROM pg_catalog.pg_inherits WHERE inhparent = 'penstock.events'::regclass
  OFFSET 0`;

/** How many days ahead partitions are made. */
const DAYS_AHEAD = 7;

const MISSING = statement({
  rows: { parent: "text", day: "text", next: "text", name: "text" },
  text: sql`
    SELECT parent, day::text, (day + 1)::text AS next, parent || '_' || to_char(day, 'YYYYMMDD') AS name
      FROM unnest(${{ parents: "text[]" }}) AS parent,
           LATERAL (SELECT (now() AT TIME ZONE 'UTC')::date + i AS day
                      FROM generate_series(0, ${{ daysAhead: "int4" }}) AS i) AS days
     WHERE NOT EXISTS (
             SELECT FROM pg_catalog.pg_inherits JOIN pg_catalog.pg_class c ON c.oid = inhrelid
              WHERE inhparent = ('penstock.' || parent)::regclass
                AND c.relname = parent || '_' || to_char(day, 'YYYYMMDD'))
     ORDER BY days.day, array_position(${{ parents: "text[]" }}, parent)`,
});

/**
 * Makes the missing partitions of today (UTC, by the clock of Postgres) and of the days ahead, and resolves to their names. Safe to
 * run from several processes at once. A partition is made apart and then attached, which waits for no reader; `CREATE TABLE …
 * PARTITION OF` would.
 */
export async function ensurePartitions(store: Store, daysAhead = DAYS_AHEAD): Promise<string[]> {
  const { rows } = await query(store.pool, MISSING, { parents: PARTITIONED, daysAhead });
  if (rows.length === 0) return [];
  const client = await connect(store);
  let failed = true;
  try {
    const made: string[] = [];
    for (const row of rows) if (await makePartition(client, row)) made.push(row.name);
    failed = false;
    return made;
  } finally {
    client.release(failed); // a failed one may be inside a transaction
  }
}

/** Makes the missing partitions of one day, e.g. of one that has gone. */
export async function ensureDay(client: pg.PoolClient, day: string): Promise<void> {
  const next = new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
  for (const parent of PARTITIONED) {
    await makePartition(client, { parent, day, next, name: `${parent}_${day.replaceAll("-", "")}` });
  }
}

// One process at a time: two that attach the same table would deadlock.
const LOCK = statement({
  rows: { pg_advisory_xact_lock: "void" },
  text: sql`SELECT pg_advisory_xact_lock(hashtext('penstock.partitions'))`,
});

// Where another table has the partition's name, CREATE TABLE fails with it.
const IS_ATTACHED = statement({
  text: sql`SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = to_regclass(${{ table: "text" }})`,
});

async function makePartition(
  client: pg.PoolClient,
  { parent, day, next, name }: { parent: string; day: string; next: string; name: string },
): Promise<boolean> {
  try {
    await command(client, "BEGIN");
    await query(client, LOCK);
    const attached = await query(client, IS_ATTACHED, { table: `penstock.${name}` });
    if (attached.rowCount !== 0) {
      await command(client, "ROLLBACK");
      return false;
    }
    await command(client, `CREATE TABLE penstock.${name} (LIKE penstock.${parent} INCLUDING ALL)`);
    await command(
      client,
      `ALTER TABLE penstock.${parent} ATTACH PARTITION penstock.${name} FOR VALUES FROM ('${day}') TO ('${next}')`,
    );
    await command(client, "COMMIT");
    return true;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** True when a row found no partition for its day: {@link ensurePartitions} has not run for too long. */
export function isMissingPartition(error: unknown): boolean {
  // check_violation without a constraint. Not by the message, whose language is a setting of Postgres.
  return codeOf(error) === "23514" && (error as { constraint?: unknown }).constraint === undefined;
}
