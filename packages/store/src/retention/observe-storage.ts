import { summariseArchives } from "../archive/archives.ts";
import { setTimeout as delay } from "node:timers/promises";
import { detached, instruments } from "@penstock/telemetry";
import { query, type Store } from "../connection/create-store.ts";
import { PARTITIONED } from "../schema/partitions.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { listDays, readBytes, readToday } from "./list-days.ts";
import { readPolicy } from "./policy.ts";

const EVERY_MS = 60_000;
/** An older reading is not reported. */
const STALE_MS = 3 * EVERY_MS;

const SIZES = statement({
  rows: { table: "text", day: "text", bytes: "int8" },
  text: sql`
    SELECT CASE WHEN is_of_day THEN left(relname, -9) ELSE relname END AS table,
           CASE WHEN is_of_day THEN to_char(to_date(right(relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD') ELSE '' END AS day,
           pg_total_relation_size(oid) AS bytes
      FROM (SELECT oid, relname::text AS relname, relname ~ ${{ names: "text" }} AS is_of_day FROM pg_catalog.pg_class
             WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r' OFFSET 0) AS tables
     WHERE NOT is_of_day OR right(relname, 8) <= to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')`,
});

interface Storage {
  /** Null: archiving is off. */
  readonly archives: Readonly<Record<string, number>> | null;
  readonly sizes: readonly RowOf<typeof SIZES>[];
  readonly ahead: Forecast | null;
}

/** Measures what tables and days take each minute, for metrics, until the signal is aborted. */
export function observeStorage(store: Store, signal: AbortSignal, onError: (error: unknown) => void): void {
  let last: { readonly storage: Storage; readonly at: number } | undefined;
  const current = (): Storage | undefined =>
    last !== undefined && performance.now() - last.at < STALE_MS ? last.storage : undefined;

  instruments.storageBytes().addCallback((result) => {
    for (const { table, day, bytes } of current()?.sizes ?? []) result.observe(Number(bytes), { table, day });
  });
  instruments.daysUntilFull().addCallback((result) => {
    const days = current()?.ahead?.daysUntilFull ?? null;
    if (days !== null) result.observe(days);
  });
  instruments.archiveDays().addCallback((result) => {
    for (const [state, days] of Object.entries(current()?.archives ?? {})) result.observe(days, { state });
  });

  async function measure(): Promise<void> {
    while (!signal.aborted) {
      try {
        last = { storage: await readStorage(store), at: performance.now() };
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await delay(EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
  detached(measure).catch(onError);
}

async function readStorage(store: Store): Promise<Storage> {
  const { rows } = await query(store.pool, SIZES, { names: `^(${PARTITIONED.join("|")})_\\d{8}$` });
  const told = await readPolicy(store);
  if (told === null) return { sizes: rows, ahead: null, archives: null };
  const today = await readToday(store.pool);
  const [bytes, days] = [await readBytes(store.pool), await listDays(store.pool, today)];
  const { archive } = told.policy;
  const summary = archive === undefined ? null : await summariseArchives(store, archive.url);
  const archives = summary && {
    verified: summary.verified,
    damaged: summary.damaged.length,
    waiting: summary.waiting.length,
  };
  return { sizes: rows, archives, ahead: await forecast(store.pool, told.policy, { today, bytes, days }) };
}
