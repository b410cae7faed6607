import { query, type Queryable } from "../connection/create-store.ts";
import { PARTITIONED } from "../schema/partitions.ts";
import { sql, statement } from "../connection/sql.ts";
import { partitionOf, type StoredDay } from "./list-days.ts";
import { type RetentionPolicy, termsOf } from "./policy.ts";

/** How large Penstock's tables will be, if each day is as the last ones. */
export interface Forecast {
  /** What a day takes: today so far, or yesterday where that was more. */
  readonly perDayBytes: number;
  /** Where it levels off, by the longest term: at most. */
  readonly levelsOffAtBytes: number;
  /** Until RETENTION_BYTES has old days go before their term is over; null: without a limit, or when it levels off below. */
  readonly daysUntilFull: number | null;
}

const TODAY = statement({
  rows: { bytes: "int8" },
  text: sql`
    SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::int8 AS bytes
      FROM unnest(${{ tables: "text[]" }}) AS name`,
});

/** Looks ahead from what there is. */
export async function forecast(
  db: Queryable,
  policy: RetentionPolicy,
  { today, bytes, days }: { readonly today: string; readonly bytes: number; readonly days: readonly StoredDay[] },
): Promise<Forecast> {
  const { rows } = await query(db, TODAY, { tables: PARTITIONED.map((table) => partitionOf(table, today)) });
  const sinceMidnight = Number(rows[0]?.bytes ?? 0);
  const perDayBytes = Math.max(sinceMidnight, days.find(({ ago }) => ago === 1)?.bytes ?? 0);
  const ofDays = days.reduce((total, day) => total + day.bytes, sinceMidnight);
  const levelsOffAtBytes = Math.max(0, bytes - ofDays) + perDayBytes * (termsOf(policy).longest + 1);
  const isBounded = policy.bytes !== null && policy.bytes < levelsOffAtBytes && perDayBytes > 0;
  const daysUntilFull = isBounded ? Math.max(0, Math.floor(((policy.bytes ?? 0) - bytes) / perDayBytes)) : null;
  return { perDayBytes, levelsOffAtBytes, daysUntilFull };
}
