import { ENDPOINT_PREFIX, isEndpointId } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { type DeliveryFilter, type DeliveryStateName, eventMatches, toEventValues } from "./delivery-filter.ts";
import { type HeldBy, nextAttemptOf, subscriberOf } from "./held-by.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** The last delivery of a page. */
export interface DeliveryCursor {
  readonly day: string;
  readonly seq: number;
  readonly subscriber: string;
}

/** A delivery as operators see it. */
export interface DeliveryRow extends DeliveryCursor {
  readonly eventId: string | null;
  readonly type: string | null;
  readonly source: string;
  readonly state: DeliveryStateName;
  readonly attempts: number;
  /** The time of the next attempt; not before the circuit of the delivery's endpoint is half open. */
  readonly nextAttemptAt: string | null;
  /** Why the delivery is not started although it is due; null when nothing keeps it. */
  readonly heldBy: HeldBy | null;
  readonly receivedAt: string;
  readonly changedAt: string;
  /** The error of the last failed attempt; null without one. */
  readonly error: string | null;
  /** The delivery's lane; null without one. */
  readonly lane: string | null;
  /** Whether a newer delivery of the lane had succeeded before. */
  readonly late: boolean;
  /** Why the delivery was skipped; null when an operator skipped it. */
  readonly skipReason: string | null;
  /** The last replay that took the delivery. */
  readonly replay: string | null;
  /** How often the delivery's effects are done anew; 0 at first. */
  readonly generation: number;
}

/** SQL: the attempt `a` failed. */
export const IS_FAILURE = "a.outcome IN ('failed', 'timed-out', 'interrupted')";

const handler = { handler: "text?" } as const;
const state = { state: "text?" } as const;
const afterDay = { afterDay: "date?" } as const;

const listThose = (which: string) =>
  statement({
    rows: {
      day: "text",
      seq: "int8",
      subscriber: "text",
      event_id: "text?",
      type: "text?",
      source: "text",
      state: column<DeliveryStateName>("text"),
      attempts: "int2",
      next_attempt_at: "timestamptz?",
      held_by: column<HeldBy | null>("text"),
      received_at: "timestamptz",
      changed_at: "timestamptz",
      lane: "text?",
      late: "bool",
      skip_reason: "text?",
      replay_id: "text?",
      generation: "int2",
      error: "text?",
    },
    text: sql`
    SELECT d.day::text, d.seq, d.subscriber, e.event_id, e.type, e.source, d.state, d.attempts,
           ${nextAttemptOf("d", "s")} AS next_attempt_at, s.held_by, e.received_at, d.changed_at, d.lane, d.late,
           CASE WHEN d.state = 'skipped' THEN d.skip_reason END AS skip_reason, d.replay_id, d.generation,
           (SELECT coalesce(a.error_class || ': ', '') || a.error_message FROM penstock.attempts a
             WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND ${IS_FAILURE}
             ORDER BY a.started_at DESC LIMIT 1) AS error
      FROM penstock.deliveries d
           -- Row by row, by LIMIT: the planner would expect next to no rows of a join, and read whole tables.
           CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e
           LEFT JOIN LATERAL ${subscriberOf("d.subscriber")} AS s ON true
     WHERE ${which} AND ${eventMatches("d")}
       AND (${handler} IS NULL OR d.subscriber = ${handler}) AND (${state} IS NULL OR d.state = ${state})
       AND (${afterDay} IS NULL
            OR (d.day, d.seq, d.subscriber) < (${afterDay}, ${{ afterSeq: "int8?", afterSubscriber: "text?" }}))
     ORDER BY d.day DESC, d.seq DESC, d.subscriber DESC LIMIT ${{ limit: "int8" }}`,
  });
const LIST = listThose("true");
/** Of one endpoint, by the index of what endpoints get. */
const LIST_OF_ENDPOINT = listThose(`starts_with(d.subscriber, '${ENDPOINT_PREFIX}')`);

/**
 * The deliveries that match, the newest events' first. Pages by (day, seq, subscriber), which is the order of the primary
 * key: a page costs the same wherever it lies.
 */
export async function listDeliveries(
  store: Store,
  filter: DeliveryFilter = {},
  { limit = 20, after }: { readonly limit?: number; readonly after?: DeliveryCursor } = {},
): Promise<DeliveryRow[]> {
  const { handler } = filter;
  const ofEndpoint = handler !== undefined && isEndpointId(handler);
  const { rows } = await query(store.pool, ofEndpoint ? LIST_OF_ENDPOINT : LIST, {
    ...(await toEventValues(store, filter)),
    handler,
    state: filter.state,
    afterDay: after?.day,
    afterSeq: after?.seq,
    afterSubscriber: after?.subscriber,
    limit,
  });
  return rows.map((row) => ({
    day: row.day,
    seq: Number(row.seq),
    subscriber: row.subscriber,
    eventId: row.event_id,
    type: row.type,
    source: row.source,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at?.toISOString() ?? null,
    heldBy: row.held_by,
    receivedAt: row.received_at.toISOString(),
    changedAt: row.changed_at.toISOString(),
    error: row.error,
    lane: row.lane,
    late: row.late,
    skipReason: row.skip_reason,
    replay: row.replay_id,
    generation: row.generation,
  }));
}
