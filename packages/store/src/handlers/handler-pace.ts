import { query, type Store } from "../connection/create-store.ts";
import { IS_FAILURE } from "../deliveries/list-deliveries.ts";
import { sql, statement } from "../connection/sql.ts";

/** How fast a handler or an endpoint has been lately. */
export interface HandlerPace {
  readonly subscriber: string;
  /** Deliveries that have succeeded, per second. */
  readonly perSecond: number;
  /** From the receipt of an event to its success, in milliseconds: half of them and 99 of 100; null without any. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** How many of those looked at have succeeded at once, and how many have not. */
  readonly succeeded: number;
  readonly failed: number;
}

const MINUTES = 15;
/** More deliveries than these are not looked at: where they come faster, the time looked at is shorter. */
const LOOKED_AT = 10_000;

const READ = statement({
  rows: {
    subscriber: "text",
    seconds: "float8",
    p50: "float8?",
    p99: "float8?",
    succeeded: "int4",
    failed: "int4",
  },
  text: sql`
    WITH lately AS MATERIALIZED (
      SELECT d.subscriber, d.state, d.changed_at, e.received_at
        FROM (SELECT day, seq, subscriber, state, changed_at FROM penstock.deliveries
               WHERE day >= ((now() - interval '${MINUTES} minutes') AT TIME ZONE 'UTC')::date
               ORDER BY day DESC, seq DESC LIMIT ${LOOKED_AT}) AS d,
             LATERAL (SELECT received_at FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e
       WHERE e.received_at >= now() - interval '${MINUTES} minutes'
    ), looked_at AS (
      -- The whole time, unless there was more in it than is looked at.
      SELECT greatest(1, CASE WHEN count(*) < ${LOOKED_AT} THEN ${MINUTES} * 60
                              ELSE extract(epoch FROM now() - min(received_at)) END)::float8 AS seconds
        FROM lately
    )
    SELECT subscriber, (SELECT seconds FROM looked_at) AS seconds,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY took_ms) AS p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY took_ms) AS p99,
           (count(*) FILTER (WHERE state = 'succeeded'))::int AS succeeded,
           (count(*) FILTER (WHERE state IN ('retrying', 'dead')))::int AS failed
      FROM (SELECT *, CASE WHEN state = 'succeeded'
                           THEN greatest(0, extract(epoch FROM changed_at - received_at) * 1000)::float8 END AS took_ms
              FROM lately) AS timed
     GROUP BY subscriber ORDER BY subscriber`,
});

/**
 * How fast each subscriber was with the events of the last quarter of an hour, from what is stored; one that got none is left
 * out. Looks at ten thousand deliveries at most.
 */
export async function readHandlerPaces(store: Store): Promise<HandlerPace[]> {
  const { rows } = await query(store.pool, READ);
  return rows.map(({ subscriber, seconds, p50, p99, succeeded, failed }) => ({
    subscriber,
    perSecond: succeeded / seconds,
    p50Ms: p50,
    p99Ms: p99,
    succeeded,
    failed,
  }));
}

/** Failed tries of a subscriber with the same class of error. */
export interface ErrorGroup {
  readonly subscriber: string;
  readonly errorClass: string;
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
  /** Of the last one: what it said, and which event it was about. */
  readonly message: string;
  readonly day: string;
  readonly seq: number;
}

const GROUP = statement({
  rows: {
    subscriber: "text",
    error_class: "text",
    count: "int4",
    first_at: "timestamptz",
    last_at: "timestamptz",
    message: "text",
    day: "text",
    seq: "int8",
  },
  text: sql`
    SELECT a.subscriber, coalesce(error_class, outcome) AS error_class, count(*)::int AS count,
           min(ended_at) AS first_at, max(ended_at) AS last_at,
           (array_agg(coalesce(error_message, '') ORDER BY ended_at DESC))[1] AS message,
           (array_agg(a.day::text ORDER BY ended_at DESC))[1] AS day, (array_agg(a.seq ORDER BY ended_at DESC))[1] AS seq
      FROM (SELECT day, seq, subscriber, outcome, error_class, error_message, ended_at FROM penstock.attempts
             WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1
             ORDER BY day DESC, seq DESC LIMIT ${LOOKED_AT}) AS a
     WHERE ${IS_FAILURE} AND (${{ subscriber: "text?" }} IS NULL OR a.subscriber = ${{ subscriber: "text?" }})
     GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100`,
});

/** What has failed with the events of today and yesterday (UTC), the most frequent first; among the last ten thousand attempts. */
export async function listErrorGroups(
  store: Store,
  { subscriber }: { readonly subscriber?: string } = {},
): Promise<ErrorGroup[]> {
  const { rows } = await query(store.pool, GROUP, { subscriber });
  return rows.map((row) => ({
    subscriber: row.subscriber,
    errorClass: row.error_class,
    count: row.count,
    firstAt: row.first_at.toISOString(),
    lastAt: row.last_at.toISOString(),
    message: row.message,
    day: row.day,
    seq: Number(row.seq),
  }));
}
