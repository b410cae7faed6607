import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** SQL: spares the partitions of the days ahead. One day more, in case the clock is set back. */
export const UNTIL_NOW = "day <= (now() AT TIME ZONE 'UTC')::date + 1";

/**
 * SQL: the delivery `d`, found by its key, waits. Written so that no index serves it: with old statistics, Postgres would read all
 * deliveries that wait rather than look up one.
 */
export const IS_WAITING = "(d.state IN ('pending', 'retrying')) IS TRUE";

/** A lane of a handler. */
export interface LaneKey {
  readonly subscriber: string;
  readonly lane: string;
}

const lanesGiven = { subscribers: "text[]", lanes: "text[]" } as const;

const LOCK = statement({
  name: "penstock-lock-lanes",
  text: sql`
    WITH held AS MATERIALIZED (
      SELECT l.subscriber, l.lane FROM penstock.lanes l
        JOIN unnest(${lanesGiven}) AS w (subscriber, lane) ON l.subscriber = w.subscriber AND l.lane = w.lane
       ORDER BY l.subscriber, l.lane FOR UPDATE OF l
    )
    UPDATE penstock.lanes l SET changes = l.changes + 1 FROM held
     WHERE l.subscriber = held.subscriber AND l.lane = held.lane`,
});

// The first delivery without a time of its own. The claim decides whether the lane may run.
const WAKE = statement({
  name: "penstock-wake-lanes",
  text: sql`
    UPDATE penstock.deliveries d SET next_attempt_at = clock_timestamp()
      FROM (SELECT DISTINCT * FROM unnest(${lanesGiven}) AS w (subscriber, lane)) AS w,
           LATERAL (SELECT first.* FROM unnest(ARRAY['pending', 'retrying']) AS wanted,
                           LATERAL (SELECT day, seq, lane_at FROM penstock.deliveries
                                     WHERE subscriber = w.subscriber AND lane = w.lane AND state = wanted
                                       AND state IN ('pending', 'retrying') AND next_attempt_at IS NULL
                                       AND ${UNTIL_NOW}
                                     ORDER BY lane_at, seq LIMIT 1) AS first
                     ORDER BY lane_at, seq LIMIT 1) AS next
     WHERE d.day = next.day AND d.seq = next.seq AND d.subscriber = w.subscriber
       AND ${IS_WAITING} AND d.next_attempt_at IS NULL`,
});

/** Lanes as parameters. */
export const toColumns = (lanes: readonly LaneKey[]) => ({
  subscribers: lanes.map(({ subscriber }) => subscriber),
  lanes: lanes.map(({ lane }) => lane),
});

/**
 * Locks lanes until the end of the transaction, in the order that all transactions share, and counts a change of each. A claim
 * holds a lane for one statement only, so the wait is short.
 */
export async function lockLanes(client: pg.PoolClient, lanes: readonly LaneKey[]): Promise<void> {
  if (lanes.length > 0) await query(client, LOCK, toColumns(lanes));
}

/** Wakes the next delivery of each lane. The lanes must be locked. */
export async function wakeLanes(client: pg.PoolClient, lanes: readonly LaneKey[]): Promise<void> {
  if (lanes.length > 0) await query(client, WAKE, toColumns(lanes));
}
