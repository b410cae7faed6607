import { wallClockMs } from "@penstock/schemas";
import { type Term, timesOf } from "@penstock/schemas/search";
import { query, type Store } from "../connection/create-store.ts";
import { BODY_WINDOW_MS, toSearch } from "./search-terms.ts";
import { deadline, findEventsOf } from "./search-events.ts";
import { gapsBetween, UPPER } from "./without-words.ts";
import { sql, statement } from "../connection/sql.ts";

/** How many events there were over time. */
export interface EventHistogram {
  readonly from: string;
  readonly to: string;
  readonly bucketMs: number;
  /** From the first bucket on, each `bucketMs` long. */
  readonly counts: readonly number[];
  readonly total: number;
  /** Whether there are more than the total: counting ended at {@link EVENT_COUNT_LIMIT}, or time was up. */
  readonly more: boolean;
  /** Where there are more: everything from then on was counted. */
  readonly countedSince: string | null;
}

/** Of a query with conditions no more are counted: the newest. */
export const EVENT_COUNT_LIMIT = 10_000;

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
const BUCKETS_MS = [
  SECOND,
  5 * SECOND,
  10 * SECOND,
  30 * SECOND,
  MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  7 * DAY,
  28 * DAY,
  364 * DAY,
];
const MOST_BUCKETS = 60;

const from = { from: "timestamptz" } as const;
const to = { to: "timestamptz" } as const;
const inDays = sql`day BETWEEN (${from} AT TIME ZONE 'UTC')::date AND (${to} AT TIME ZONE 'UTC')::date`;

// By the index of runs alone, which is read twice: a sort or a copy of 300,000 runs costs more. What waits is counted by its
// batches, and so is what has no filters.
const COUNT = statement({
  rows: { nth: "int4", count: "int8" },
  text: sql`
    WITH runs AS NOT MATERIALIZED (
      SELECT day, seq, ${UPPER} FROM penstock.event_words WHERE ${inDays}
    ), gaps AS MATERIALIZED (${gapsBetween("runs", sql`true`)})
    SELECT floor(extract(epoch FROM received_at - ${from}) * 1000 / ${{ bucketMs: "int8" }})::int4 AS nth,
           sum(events)::int8 AS count
      FROM (
        SELECT received_at, events::int4 FROM penstock.event_words WHERE ${inDays}
        UNION ALL
        SELECT received_at, events FROM gaps CROSS JOIN LATERAL (
          SELECT b.received_at, b.events FROM penstock.batches b
           WHERE ${inDays} AND b.day BETWEEN low_day AND high_day
             AND (b.day, b.batch) >= (low_day, low_seq / 1024) AND (b.day, b.batch) < (high_day, high_seq / 1024)
             AND NOT EXISTS (SELECT FROM penstock.pending p WHERE p.batch = b.batch)) AS unfiltered
        UNION ALL
        SELECT accepted_at, events FROM penstock.pending
      ) AS counted WHERE received_at >= ${from} AND received_at < ${to} GROUP BY 1`,
});

/**
 * Counts the events that a query asks for over the time that it speaks of, by default the last day. A query of times alone is
 * counted whole; one with other conditions up to {@link EVENT_COUNT_LIMIT} events, for `budgetMs` at most.
 */
export async function countEvents(
  store: Store,
  {
    terms,
    budgetMs,
    signal,
  }: { readonly terms: readonly Term[]; readonly budgetMs: number; readonly signal?: AbortSignal },
): Promise<EventHistogram> {
  const nowMs = wallClockMs();
  const times = timesOf(terms, nowMs);
  const untilMs = times.until?.getTime() ?? nowMs + 1;
  const sinceMs = Math.min(untilMs, times.since?.getTime() ?? untilMs - BODY_WINDOW_MS);
  const bucketMs = BUCKETS_MS.find((ms) => (untilMs - sinceMs) / ms <= MOST_BUCKETS - 1) ?? 36_400 * DAY;
  const start = Math.floor(sinceMs / bucketMs) * bucketMs;
  const counts: number[] = Array.from({ length: Math.max(1, Math.ceil((untilMs - start) / bucketMs)) }, () => 0);
  const add = (nth: number, count: number): void => {
    counts[nth] = (counts[nth] ?? 0) + count;
  };
  const whole = { from: new Date(sinceMs), to: new Date(untilMs) };
  let countedSince: Date | null = null;
  if (terms.every(({ kind }) => kind === "time" || kind === "age")) {
    const { rows } = await query(store.pool, COUNT, { ...whole, from: new Date(start), bucketMs });
    for (const { nth, count } of rows) add(nth, Number(count));
  } else {
    const search = await toSearch(store, terms, nowMs);
    const bounded = { ...search, conditions: { ...search.conditions, since: whole.from, until: whole.to } };
    const isOver = deadline(budgetMs, signal);
    let total = 0;
    let last: Date | null = null;
    for await (const { found, downTo } of findEventsOf(store, bounded, { before: null, wanted: 2_000, open: false })) {
      for (const { receivedAt } of found) add(Math.floor((receivedAt.getTime() - start) / bucketMs), 1);
      total += found.length;
      last = found.at(-1)?.receivedAt ?? last;
      if (downTo !== null && (total >= EVENT_COUNT_LIMIT || isOver())) {
        countedSince = last ?? whole.to;
        break;
      }
    }
  }
  return {
    from: new Date(start).toISOString(),
    to: whole.to.toISOString(),
    bucketMs,
    counts,
    total: counts.reduce((sum, count) => sum + count, 0),
    more: countedSince !== null,
    countedSince: countedSince?.toISOString() ?? null,
  };
}
