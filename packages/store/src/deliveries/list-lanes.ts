import { query, type Store } from "../connection/create-store.ts";
import type { DeliveryStateName } from "./delivery-filter.ts";
import { type HeldBy, nextAttemptOf, subscriberOf } from "./held-by.ts";
import { type DeliveryCursor, IS_FAILURE } from "./list-deliveries.ts";
import { column, sql, statement } from "../connection/sql.ts";

/**
 * `running`: a delivery of the lane runs. `blocked`: the head has failed, and blocks the rest (head-of-line blocking) until it
 * succeeds or, once it is dead, until an operator skips or retries it. `waiting`: the head waits for a worker.
 */
export type LaneState = "running" | "blocked" | "waiting";

/** A lane with deliveries that wait or run. */
export interface LaneRow {
  readonly handler: string;
  readonly lane: string;
  readonly state: LaneState;
  /** The delivery that runs, or that has to run first. */
  readonly head: DeliveryCursor & {
    readonly eventId: string | null;
    readonly state: DeliveryStateName;
    readonly attempts: number;
    /** The time of the next attempt; not before the circuit of the lane's endpoint is half open. */
    readonly nextAttemptAt: string | null;
  };
  /** When the head came into its state. */
  readonly since: string;
  /** Why the head is not started although it is due; null when nothing keeps it. */
  readonly heldBy: HeldBy | null;
  /** How many deliveries wait behind the head; counted up to {@link LANE_COUNT_LIMIT}. */
  readonly waiting: number;
  /** The error of the head's last failed attempt; null without one. */
  readonly error: string | null;
}

/** A larger number is not worth its cost. */
export const LANE_COUNT_LIMIT = 1_000;

export interface LaneFilter {
  readonly handler?: string;
  readonly lane?: string;
  readonly state?: LaneState;
}

const IN_LANE = "lane IS NOT NULL AND state IN ('pending', 'running', 'retrying', 'dead')";

// The running delivery, or the first of each state by the index. A dead letter that blocks its lane is the lane's head.
const headOf = (order: string, condition: string): string => `
  (SELECT first.* FROM unnest(ARRAY['running', 'pending', 'retrying', 'dead']) AS wanted,
          LATERAL (SELECT day, seq, lane_at, state, attempts, next_attempt_at, changed_at FROM penstock.deliveries
                    WHERE subscriber = l.subscriber AND lane = l.lane AND state = wanted AND ${IN_LANE}
                    ORDER BY ${order} LIMIT 1) AS first
    WHERE ${condition} AND (wanted <> 'dead' OR h.on_dead = 'block')
    ORDER BY first.state = 'running' DESC, ${order} LIMIT 1)`;

// Steps from one lane to the next by the index, over however many deliveries wait in it, and no further than is asked for:
// so all that follows goes row by row, in this order, by LIMIT; a join would read every lane first.
const handler = { handler: "text?" } as const;
const lane = { lane: "text?" } as const;
const state = { state: "text?" } as const;

const LIST = statement({
  rows: {
    subscriber: "text",
    lane: "text",
    lane_state: column<LaneState>("text"),
    day: "text",
    seq: "int8",
    state: column<DeliveryStateName>("text"),
    attempts: "int2",
    changed_at: "timestamptz",
    held_by: column<HeldBy | null>("text"),
    next_attempt_at: "timestamptz?",
    event_id: "text?",
    waiting: "int4",
    error: "text?",
  },
  text: sql`
    WITH RECURSIVE lanes AS (
      (SELECT subscriber, lane FROM penstock.deliveries
        WHERE ${IN_LANE} AND (${handler} IS NULL OR subscriber = ${handler}) AND (${lane} IS NULL OR lane = ${lane})
        ORDER BY subscriber, lane LIMIT 1)
      UNION ALL
      SELECT next.* FROM lanes l,
             LATERAL (SELECT subscriber, lane FROM penstock.deliveries
                       WHERE ${IN_LANE} AND (subscriber, lane) > (l.subscriber, l.lane)
                         AND (${handler} IS NULL OR subscriber = ${handler}) AND (${lane} IS NULL OR lane = ${lane})
                       ORDER BY subscriber, lane LIMIT 1) AS next
    ), found AS (
      SELECT l.subscriber, l.lane, h.held_by, h.parked_until, head.*
        FROM lanes l
        LEFT JOIN LATERAL ${subscriberOf("l.subscriber")} AS h ON true
        CROSS JOIN LATERAL (
          SELECT first.*, CASE state WHEN 'running' THEN 'running' WHEN 'pending' THEN 'waiting' ELSE 'blocked' END AS lane_state
            FROM (${headOf("lane_at, seq", "h.lane_order IS DISTINCT FROM 'newest-wins'")}
                  UNION ALL
                  ${headOf("lane_at DESC, seq", "h.lane_order = 'newest-wins'")}) AS first) AS head
       WHERE ${state} IS NULL OR head.lane_state = ${state}
       LIMIT ${{ limit: "int8" }}
    )
    SELECT f.subscriber, f.lane, f.lane_state, f.day::text, f.seq, f.state, f.attempts, f.changed_at, f.held_by,
           ${nextAttemptOf("f", "f")} AS next_attempt_at, e.event_id,
           (SELECT count(*)::int FROM (SELECT FROM penstock.deliveries
                                        WHERE subscriber = f.subscriber AND lane = f.lane AND state IN ('pending', 'retrying')
                                          AND (day, seq) <> (f.day, f.seq)
                                        LIMIT ${LANE_COUNT_LIMIT}) AS some_of) AS waiting,
           (SELECT coalesce(a.error_class || ': ', '') || a.error_message FROM penstock.attempts a
             WHERE a.day = f.day AND a.seq = f.seq AND a.subscriber = f.subscriber AND ${IS_FAILURE}
             ORDER BY a.started_at DESC LIMIT 1) AS error
      FROM found f CROSS JOIN LATERAL (SELECT event_id FROM penstock.events WHERE day = f.day AND seq = f.seq LIMIT 1) AS e
     ORDER BY f.subscriber, f.lane`,
});

/** The lanes with deliveries that wait or run, by handler and lane. */
export async function listLanes(store: Store, filter: LaneFilter = {}, limit = 20): Promise<LaneRow[]> {
  const { handler, lane, state } = filter;
  const { rows } = await query(store.pool, LIST, { handler, lane, state, limit });
  return rows.map((row) => ({
    handler: row.subscriber,
    lane: row.lane,
    state: row.lane_state,
    head: {
      day: row.day,
      seq: Number(row.seq),
      subscriber: row.subscriber,
      eventId: row.event_id,
      state: row.state,
      attempts: row.attempts,
      nextAttemptAt: row.next_attempt_at?.toISOString() ?? null,
    },
    since: row.changed_at.toISOString(),
    heldBy: row.held_by,
    waiting: row.waiting,
    error: row.error,
  }));
}
