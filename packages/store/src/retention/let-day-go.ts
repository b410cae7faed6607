import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { codeOf } from "../connection/errors.ts";
import { PARTITIONED, type PartitionedTable } from "../schema/partitions.ts";
import { sql, statement } from "../connection/sql.ts";
import { copyKept, newTableOf } from "./copy-kept.ts";
import { findUnarchived } from "../archive/archives.ts";
import { countDay } from "./count-day.ts";
import { countKept, type KeptEvents, keptEvents } from "./kept-events.ts";
import { addDays, partitionOf, type StoredDay } from "./list-days.ts";
import { type RetentionPolicy, termOf } from "./policy.ts";

// A day goes in two steps, and a crash between any two statements leaves what the next run can go on from:
//
//   1. Its tables are detached one by one, CONCURRENTLY: intake and workers go on. Deliveries first, so that nothing of the day
//      is claimed any more; batches last. Once detached, a table is as it is: every transaction that used it has ended.
//   2. In one transaction: what is kept is copied into new tables, which take the place of the old ones; these are dropped; and
//      it goes on record. A table that is detached is therefore a day that is half gone, and nothing else.
//
// A delivery that has been claimed in the meantime puts the day back: it is tried again at the next run.

/** In this order; back in the reverse order. */
const ORDER: readonly PartitionedTable[] = ["deliveries", "events", "event_words", "attempts", "effects", "batches"];

export interface GoneDay {
  readonly day: string;
  /** `dropped`: all of it went. `thinned`: some of its events went. `restored`: it was put back as it was. */
  readonly outcome: "dropped" | "thinned" | "restored";
  readonly went: number;
  readonly kept: readonly KeptEvents[];
  readonly freed: number;
}

const LOG = statement({
  text: sql`
    INSERT INTO penstock.retention_log (day, why, went, kept, bytes, first_seq, last_seq, took_ms, by)
    VALUES (${{ day: "date", why: "text", went: "int8", kept: "int8", bytes: "int8", first: "int8?", last: "int8?" }},
            ${{ tookMs: "int4", by: "text" }})`,
});

/** Longer than any transaction of ours that may use a day. */
const DETACH_WAIT = "60s";
const SLOW_MS = 6 * 3_600_000;

/** Runs one statement, however long it takes: a pool gives up on an answer sooner. */
function run<Row extends pg.QueryResultRow>(client: pg.PoolClient, text: string): Promise<pg.QueryResult<Row>> {
  return client.query<Row>({ text, query_timeout: SLOW_MS } as pg.QueryConfig);
}

/** Prepares a connection for what retention does. It must not go back to its pool. */
export async function prepareForDetach(client: pg.PoolClient): Promise<void> {
  await client.query("SET statement_timeout = 0");
  await client.query("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'");
}

/**
 * Lets go of what is due of a day that is over. The one place where events are deleted: where archiving is on, a day without an archive
 * that was read back is refused here, before the first table is detached.
 */
export async function letDayGo(
  client: pg.PoolClient,
  policy: RetentionPolicy,
  stored: StoredDay,
  why: "age" | "bytes",
  by: string,
): Promise<GoneDay> {
  const { day, ago } = stored;
  const began = performance.now();
  const unarchived = policy.archive === undefined ? null : await findUnarchived(client, policy.archive.url, day);
  if (unarchived !== null) throw new Error(`day ${day} must not go: ${unarchived}`);
  const counts = await countDay(client, day);
  for (const table of ORDER) {
    await detach(client, table, stored);
    if (table === "deliveries" && (await isUnderWay(client, day))) return restoreDay(client, stored);
  }
  const keptTypes = why === "bytes" ? [] : counts.filter(({ source, type }) => ago <= termOf(policy, source, type));
  await client.query("BEGIN");
  try {
    await run(client, `CREATE TEMP TABLE kept ON COMMIT DROP AS ${keptEvents(day, keptTypes)}`);
    await run(client, "CREATE UNIQUE INDEX ON kept (seq)");
    await run(client, "ANALYZE kept");
    const kept = await countKept(client, "kept");
    const { events, first, last } = await readSpan(client, day);
    const left = kept.reduce((total, one) => total + one.events, 0);
    if (left > 0) for (const table of ORDER) await makeAnew(client, table, day);
    for (const table of ORDER) await run(client, `DROP TABLE ${partitionOf(table, day)}`);
    if (left > 0) for (const table of ORDER) await takeItsPlace(client, table, day);
    await run(
      client,
      `DELETE FROM penstock.quarantine q WHERE day = '${day}' AND NOT EXISTS (SELECT FROM kept k WHERE k.seq = q.seq)`,
    );
    await run(client, `DELETE FROM penstock.retention_counts WHERE day = '${day}'`);
    const bytes = left === 0 ? 0 : await sizeOf(client, day);
    const freed = Math.max(0, stored.bytes - bytes);
    const tookMs = Math.round(performance.now() - began);
    await query(client, LOG, { day, why, went: events - left, kept: left, bytes: freed, first, last, tookMs, by });
    if (left > 0) for (const table of ORDER.toReversed()) await attach(client, table, day);
    await client.query("COMMIT");
    return { day, outcome: left === 0 ? "dropped" : "thinned", went: events - left, kept, freed };
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** Puts a day back that a crash has left half gone, or that turned out to be in use. */
export async function restoreDay(client: pg.PoolClient, stored: StoredDay): Promise<GoneDay> {
  const { day } = stored;
  const detached: PartitionedTable[] = [];
  for (const table of ORDER.toReversed()) {
    const state = await standing(client, table, day);
    // What is on its way out cannot be held: it has to leave before it can come back.
    if (state === "leaving") await detach(client, table, { ...stored, tables: { [table]: "leaving" } });
    if (state === "leaving" || state === "detached") detached.push(table);
  }
  await client.query("BEGIN");
  try {
    for (const table of detached) await attach(client, table, day);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  return { day, outcome: "restored", went: 0, kept: [], freed: 0 };
}

async function detach(client: pg.PoolClient, table: PartitionedTable, { day, tables }: StoredDay): Promise<void> {
  const was = tables[table];
  if (was === undefined || was === "detached") return;
  const how = was === "leaving" ? "FINALIZE" : "CONCURRENTLY";
  await client.query(`SET lock_timeout = '${DETACH_WAIT}'`);
  try {
    await run(client, `ALTER TABLE penstock.${table} DETACH PARTITION ${partitionOf(table, day)} ${how}`);
  } catch (error) {
    // A wait that ran out leaves the table on its way out. Nothing else may happen to the day, and the next run ends it.
    if (codeOf(error) !== "55P03") throw error;
    throw new Error(`day ${day} waits for a transaction that uses ${table}: it is finished at the next run`, {
      cause: error,
    });
  } finally {
    await client.query("SET lock_timeout = '5s'").catch(() => undefined);
  }
}

async function standing(
  client: pg.PoolClient,
  table: PartitionedTable,
  day: string,
): Promise<"attached" | "leaving" | "detached" | "missing"> {
  const name = partitionOf(table, day);
  const { rows } = await run<{ standing: "attached" | "leaving" | "detached" | "missing" }>(
    client,
    `SELECT CASE WHEN to_regclass('${name}') IS NULL THEN 'missing'
                 ELSE coalesce((SELECT CASE WHEN inhdetachpending THEN 'leaving' ELSE 'attached' END
                                  FROM pg_catalog.pg_inherits WHERE inhrelid = to_regclass('${name}')), 'detached') END AS standing`,
  );
  return rows[0]?.standing ?? "missing";
}

async function attach(client: pg.PoolClient, table: PartitionedTable, day: string): Promise<void> {
  const bounds = `FROM ('${day}') TO ('${addDays(day, 1)}')`;
  await run(client, `ALTER TABLE penstock.${table} ATTACH PARTITION ${partitionOf(table, day)} FOR VALUES ${bounds}`);
}

async function makeAnew(client: pg.PoolClient, table: PartitionedTable, day: string): Promise<void> {
  await run(client, `CREATE TABLE ${newTableOf(table, day)} (LIKE penstock.${table} INCLUDING ALL)`);
  await run(client, copyKept(table, day));
}

async function takeItsPlace(client: pg.PoolClient, table: PartitionedTable, day: string): Promise<void> {
  const [, name] = partitionOf(table, day).split(".");
  await run(client, `ALTER TABLE ${newTableOf(table, day)} RENAME TO ${name}`);
  await run(client, `ANALYZE ${partitionOf(table, day)}`);
}

/** A worker is at a delivery of the day, and has to find it when it is done. */
async function isUnderWay(client: pg.PoolClient, day: string): Promise<boolean> {
  const { rowCount } = await run(
    client,
    `SELECT FROM ${partitionOf("deliveries", day)} WHERE state = 'running' AND lease_until > now() LIMIT 1`,
  );
  return rowCount !== 0;
}

async function readSpan(client: pg.PoolClient, day: string) {
  const { rows } = await run<{ events: string; first: string | null; last: string | null }>(
    client,
    `SELECT count(*) AS events, min(seq) AS first, max(seq) AS last FROM ${partitionOf("events", day)}`,
  );
  return { events: Number(rows[0]?.events ?? 0), first: rows[0]?.first ?? null, last: rows[0]?.last ?? null };
}

async function sizeOf(client: pg.PoolClient, day: string): Promise<number> {
  const sizes = PARTITIONED.map((table) => `pg_total_relation_size('${partitionOf(table, day)}')`).join(" + ");
  const { rows } = await run<{ bytes: string }>(client, `SELECT ${sizes} AS bytes`);
  return Number(rows[0]?.bytes ?? 0);
}
