import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** What one ingest has answered within some seconds. */
export interface AnswerCounts {
  /** The upper ends of the buckets in milliseconds, in order, without the last bucket, which has none. */
  readonly upToMs: readonly number[];
  /** Acknowledgements by bucket. */
  readonly counts: readonly number[];
  /** Requests that were answered with 503. */
  readonly unavailable: number;
}

// By the clock of Postgres, since the clocks of hosts differ. The delete reads one entry of the index while nothing is old.
const RECORD = statement({
  name: "penstock-acknowledgements",
  text: sql`
    WITH old AS (
      DELETE FROM penstock.acknowledgement_minutes WHERE minute < now() - interval '1 day'
    )
    INSERT INTO penstock.acknowledgement_minutes AS m (minute, up_to_ms, counts, unavailable)
    SELECT date_trunc('minute', now() - ${{ agoMs: "float8" }} * interval '1 millisecond'),
           ${{ upToMs: "float8[]", counts: "int8[]", unavailable: "int8" }}
        ON CONFLICT (minute, up_to_ms) DO UPDATE
       SET counts = (SELECT array_agg(x + y ORDER BY nth)
                       FROM unnest(m.counts, excluded.counts) WITH ORDINALITY AS u (x, y, nth)),
           unavailable = m.unavailable + excluded.unavailable`,
});

/** Adds what was answered, `agoMs` ago, to the counts of that minute. */
export async function recordAnswers(
  store: Store,
  { upToMs, counts, unavailable }: AnswerCounts,
  agoMs: number,
): Promise<void> {
  await query(store.pool, RECORD, { agoMs, upToMs, counts, unavailable });
}

/** What all ingests together have answered within a time. A quantile is null where nothing was acknowledged. */
export interface AnswerTimes {
  readonly acknowledged: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly unavailable: number;
}

const LAST_HOUR = statement({
  rows: { minute: "timestamptz", upToMs: "float8[]", counts: "int8[]", unavailable: "int8", isRecent: "bool" },
  text: sql`
    SELECT minute, up_to_ms AS "upToMs", counts, unavailable,
           minute >= date_trunc('minute', now()) - interval '1 minute' AS "isRecent"
      FROM penstock.acknowledgement_minutes WHERE minute > now() - interval '1 hour' ORDER BY minute`,
});

/** How long acknowledgements took in the last hour by minute, those in which nothing was answered left out, and of late. */
export async function readAnswerTimes(store: Store): Promise<{
  /** The minute that has begun and the one before. */
  readonly recent: AnswerTimes;
  readonly minutes: readonly (AnswerTimes & { readonly minute: Date })[];
}> {
  const { rows } = await query(store.pool, LAST_HOUR);
  const given = rows.map(({ counts, unavailable, ...row }) => ({
    ...row,
    counts: counts.map(Number),
    unavailable: Number(unavailable),
  }));
  const minutes = Map.groupBy(given, ({ minute }) => minute.getTime());
  return {
    recent: toTimes(given.filter(({ isRecent }) => isRecent)),
    minutes: Array.from(minutes, ([minute, all]) => ({ minute: new Date(minute), ...toTimes(all) })),
  };
}

function toTimes(all: readonly AnswerCounts[]): AnswerTimes {
  const buckets = new Map<number, number>();
  for (const { upToMs, counts } of all) {
    counts.forEach((count, nth) => {
      const upTo = upToMs[nth] ?? Infinity;
      buckets.set(upTo, (buckets.get(upTo) ?? 0) + count);
    });
  }
  const sorted = [...buckets].toSorted(([a], [b]) => a - b);
  return {
    acknowledged: sorted.reduce((sum, [, count]) => sum + count, 0),
    p50Ms: quantileOf(sorted, 0.5),
    p99Ms: quantileOf(sorted, 0.99),
    unavailable: all.reduce((sum, { unavailable }) => sum + unavailable, 0),
  };
}

/** As Prometheus has it: a straight line within a bucket. In the last one, which has no end, it is where that begins. */
function quantileOf(buckets: readonly (readonly [upTo: number, count: number])[], share: number): number | null {
  let left = share * buckets.reduce((sum, [, count]) => sum + count, 0);
  if (left === 0) return null;
  let from = 0;
  for (const [upTo, count] of buckets) {
    if (left <= count) return upTo === Infinity ? from : from + ((upTo - from) * left) / count;
    left -= count;
    if (upTo !== Infinity) from = upTo;
  }
  return from;
}
