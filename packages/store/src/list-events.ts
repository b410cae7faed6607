import { query, type Store } from "./create-store.ts";

/** What a subscriber made of an event. */
export interface DeliverySummary {
  readonly subscriber: string;
  readonly state: string;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
}

/** An event as the CLI and the console show it: everything but the body. */
export interface EventSummary {
  readonly seq: number;
  readonly source: string;
  readonly id: string | null;
  readonly type: string | null;
  /** pending: not processed yet; processed: every handler has a delivery; quarantined: could not be understood. */
  readonly status: "pending" | "processed" | "quarantined";
  readonly receivedAt: string;
  readonly createdAt: string | null;
  readonly bytes: number;
  readonly quarantine: { readonly reason: string; readonly detail: string | null } | null;
  readonly deliveries: readonly DeliverySummary[];
}

export interface EventFilter {
  readonly limit?: number;
  readonly type?: string;
  readonly source?: string;
  readonly status?: EventSummary["status"];
  /** Only events with this id. */
  readonly id?: string;
  /** Only events before this seq: the last one of the page before. */
  readonly before?: number;
}

interface SummaryRow {
  seq: string;
  source: string;
  event_id: string | null;
  type: string | null;
  status: EventSummary["status"];
  received_at: Date;
  created_at: Date | null;
  bytes: number;
  reason: string | null;
  detail: string | null;
  deliveries: DeliverySummary[];
}

const SUMMARY = `
  e.seq::text, e.source, e.event_id, e.type, e.received_at, e.created_at, octet_length(e.body) AS bytes,
  q.reason, q.detail,
  CASE WHEN p.seq IS NOT NULL THEN 'pending' WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END AS status,
  coalesce((SELECT jsonb_agg(jsonb_build_object('subscriber', d.subscriber, 'state', d.state, 'attempts', d.attempts,
                                                'nextAttemptAt', d.next_attempt_at) ORDER BY d.subscriber)
              FROM penstock.deliveries d WHERE d.day = e.day AND d.seq = e.seq), '[]') AS deliveries`;

const JOINED = `
  penstock.events e
  LEFT JOIN penstock.pending p ON p.seq = e.seq
  LEFT JOIN penstock.quarantine q ON q.day = e.day AND q.seq = e.seq`;

/** The newest events that match, newest first. */
export async function listEvents(store: Store, filter: EventFilter = {}): Promise<EventSummary[]> {
  const { rows } = await query<SummaryRow>(
    store.pool,
    `SELECT ${SUMMARY} FROM ${JOINED}
      WHERE ($1::text IS NULL OR e.type = $1) AND ($2::text IS NULL OR e.source = $2)
        AND ($3::text IS NULL OR e.event_id = $3) AND ($4::bigint IS NULL OR e.seq < $4)
        AND ($5::text IS NULL OR $5 = CASE WHEN p.seq IS NOT NULL THEN 'pending'
                                           WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END)
      ORDER BY e.day DESC, e.seq DESC LIMIT $6`,
    [
      filter.type ?? null,
      filter.source ?? null,
      filter.id ?? null,
      filter.before ?? null,
      filter.status ?? null,
      filter.limit ?? 20,
    ],
  );
  return rows.map(toSummary);
}

/** An attempt that is worth a row: all but a first success. */
export interface AttemptSummary {
  readonly subscriber: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly worker: string;
}

/** One event whole: its summary, the attempts of its deliveries and its exact body. */
export interface EventDetail extends EventSummary {
  readonly attempts: readonly AttemptSummary[];
  readonly traceparent: string | null;
  readonly body: Buffer;
}

/** Events with this id or this seq, oldest first: an id can stand for several when bodies conflict. */
export async function showEvents(store: Store, idOrSeq: string): Promise<EventDetail[]> {
  const seq = /^\d{1,15}$/.test(idOrSeq) ? Number(idOrSeq) : null;
  const { rows } = await query<SummaryRow & { body: Buffer; traceparent: string | null; attempts: AttemptSummary[] }>(
    store.pool,
    `SELECT ${SUMMARY}, e.body, e.traceparent,
            coalesce((SELECT jsonb_agg(jsonb_build_object(
                               'subscriber', a.subscriber, 'attempt', a.attempt, 'startedAt', a.started_at,
                               'endedAt', a.ended_at, 'outcome', a.outcome, 'errorClass', a.error_class,
                               'errorMessage', a.error_message, 'worker', a.worker) ORDER BY a.started_at)
                        FROM penstock.attempts a WHERE a.day = e.day AND a.seq = e.seq), '[]') AS attempts
       FROM ${JOINED} WHERE e.event_id = $1 OR e.seq = $2 ORDER BY e.seq LIMIT 20`,
    [idOrSeq, seq],
  );
  return rows.map((row) => ({
    ...toSummary(row),
    attempts: row.attempts,
    traceparent: row.traceparent,
    body: row.body,
  }));
}

function toSummary(row: SummaryRow): EventSummary {
  return {
    seq: Number(row.seq),
    source: row.source,
    id: row.event_id,
    type: row.type,
    status: row.status,
    receivedAt: row.received_at.toISOString(),
    createdAt: row.created_at?.toISOString() ?? null,
    bytes: row.bytes,
    quarantine: row.reason === null ? null : { reason: row.reason, detail: row.detail },
    deliveries: row.deliveries,
  };
}
