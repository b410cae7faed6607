import { query, type Store } from "./create-store.ts";

export const DELIVERY_STATES = ["pending", "running", "succeeded", "retrying", "dead", "skipped", "cancelled"] as const;

export type DeliveryStateName = (typeof DELIVERY_STATES)[number];

/** Which deliveries are meant; what is left out is not asked for. */
export interface DeliveryFilter {
  readonly source?: string;
  readonly type?: string;
  readonly handler?: string;
  readonly state?: DeliveryStateName;
  /** Received at or after. */
  readonly since?: Date;
  /** Received before. */
  readonly until?: Date;
  /** The id of a contact, conversation, message or workflow that the event is about. */
  readonly subject?: string;
  /** The event's id, or its seq. */
  readonly event?: string;
}

/** Where a page ended: the next one goes on below. */
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
  readonly nextAttemptAt: string | null;
  readonly receivedAt: string;
  readonly changedAt: string;
  /** Of the last attempt that failed; null when none has. */
  readonly error: string | null;
}

interface Row {
  day: string;
  seq: string;
  subscriber: string;
  event_id: string | null;
  type: string | null;
  source: string;
  state: DeliveryStateName;
  attempts: number;
  next_attempt_at: Date | null;
  received_at: Date;
  changed_at: Date;
  error: string | null;
}

/**
 * The deliveries that match, the newest events' first. Pages by (day, seq, subscriber), which is the order of the primary
 * key: a page costs the same wherever it lies.
 */
export async function listDeliveries(
  store: Store,
  filter: DeliveryFilter = {},
  { limit = 20, after }: { readonly limit?: number; readonly after?: DeliveryCursor } = {},
): Promise<DeliveryRow[]> {
  const { rows } = await query<Row>(
    store.pool,
    `SELECT d.day::text, d.seq::text, d.subscriber, e.event_id, e.type, e.source, d.state, d.attempts,
            d.next_attempt_at, e.received_at, d.changed_at,
            (SELECT coalesce(a.error_class || ': ', '') || a.error_message FROM penstock.attempts a
              WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND a.outcome <> 'succeeded'
              ORDER BY a.started_at DESC LIMIT 1) AS error
       FROM penstock.deliveries d JOIN penstock.events e ON e.day = d.day AND e.seq = d.seq
      WHERE ${MATCHES}
        AND ($10::date IS NULL OR (d.day, d.seq, d.subscriber) < ($10, $11::bigint, $12::text))
      ORDER BY d.day DESC, d.seq DESC, d.subscriber DESC LIMIT $13`,
    [...toParameters(filter), after?.day ?? null, after?.seq ?? null, after?.subscriber ?? null, limit],
  );
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
    receivedAt: row.received_at.toISOString(),
    changedAt: row.changed_at.toISOString(),
    error: row.error,
  }));
}

/** The condition of a filter on deliveries `d` and their events `e`; its parameters are $1 to $9. */
const MATCHES = `
  ($1::text IS NULL OR e.source = $1) AND ($2::text IS NULL OR e.type = $2)
  AND ($3::text IS NULL OR d.subscriber = $3) AND ($4::text IS NULL OR d.state = $4)
  AND ($5::timestamptz IS NULL OR (d.day >= ($5 AT TIME ZONE 'UTC')::date AND e.received_at >= $5))
  AND ($6::timestamptz IS NULL OR (d.day <= ($6 AT TIME ZONE 'UTC')::date AND e.received_at < $6))
  AND ($7::text IS NULL OR e.subjects @> ARRAY[$7])
  AND ($8::text IS NULL OR e.event_id = $8 OR e.seq = $9)`;

function toParameters(filter: DeliveryFilter): unknown[] {
  const { source, type, handler, state, since, until, subject, event } = filter;
  const seq = event !== undefined && /^\d{1,15}$/.test(event) ? Number(event) : null;
  return [source, type, handler, state, since, until, subject, event, seq].map((value) => value ?? null);
}
