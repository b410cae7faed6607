import { query, type Store } from "../connection/create-store.ts";
import type { EventPointer } from "./find-events.ts";
import { type HeldBy, nextAttemptOf, subscriberOf } from "../deliveries/held-by.ts";
import type { WaitingRow } from "../search/search-waiting.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";

/** A delivery of an event, in short. */
export interface DeliverySummary {
  readonly subscriber: string;
  readonly state: string;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  /** Why the delivery is not started although it is due; null when nothing keeps it. */
  readonly heldBy: HeldBy | null;
  /** Whether a newer delivery of the lane had succeeded before. */
  readonly late: boolean;
}

/** An event as the CLI and the console show it: everything but the body. */
export interface EventSummary {
  readonly seq: number;
  /** Day of receipt, `YYYY-MM-DD`. */
  readonly day: string;
  readonly source: string;
  readonly id: string | null;
  readonly type: string | null;
  /** pending: not processed yet; processed: every handler has a delivery; quarantined: could not be understood. */
  readonly status: "pending" | "processed" | "quarantined";
  readonly receivedAt: string;
  readonly createdAt: string | null;
  readonly bytes: number;
  readonly quarantine: {
    readonly reason: string;
    readonly detail: string | null;
    /** When an operator dismissed the event; null when nobody has. */
    readonly dismissedAt: string | null;
  } | null;
  /** For an event in quarantine: the newest event that a replay made of it, with another body. */
  readonly mendedBy: { readonly seq: number; readonly id: string | null } | null;
  readonly deliveries: readonly DeliverySummary[];
  /** When the event was erased, and who had asked for that; null: it was not. Nothing of its body is left. */
  readonly erased: { readonly at: string; readonly by: string; readonly erasure: number } | null;
  /** For an event that a replay made, with another body: the replay, and the seq of the original event. */
  readonly madeBy: { readonly replay: string; readonly of: number } | null;
}

/** The columns of {@link SUMMARY}. */
export const SUMMARY_ROW = {
  seq: "int8",
  day: "text",
  source: "text",
  event_id: "text?",
  type: "text?",
  received_at: "timestamptz",
  created_at: "timestamptz?",
  bytes: "int4",
  reason: "text?",
  detail: "text?",
  dismissed_at: "timestamptz?",
  replay_id: "text?",
  replay_of: "int8?",
  mended_by: column<EventSummary["mendedBy"]>("jsonb"),
  status: column<EventSummary["status"]>("text"),
  erased: column<EventSummary["erased"]>("jsonb"),
  deliveries: column<DeliverySummary[]>("jsonb"),
} as const;
/** An event `e` with its row `q` of the quarantine, and its deliveries. */
export const SUMMARY = `
  e.seq, e.day::text, e.source, e.event_id, e.type, e.received_at, e.created_at, e.body_bytes AS bytes,
  q.reason, q.detail, q.dismissed_at, e.replay_id, e.replay_of,
  CASE WHEN q.seq IS NOT NULL THEN (
    SELECT jsonb_build_object('seq', m.seq, 'id', m.event_id) FROM penstock.events m
     WHERE m.replay_of = e.seq AND m.day >= e.day ORDER BY m.seq DESC LIMIT 1) END AS mended_by,
  CASE WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END AS status,
  CASE WHEN e.problem = 'erased' THEN (
    SELECT jsonb_build_object('at', to_char(x.erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'by', r.requested_by, 'erasure', r.id)
      FROM penstock.erased_events x JOIN penstock.erasures r ON r.id = x.erasure
     WHERE x.day = e.day AND x.seq = e.seq) END AS erased,
  coalesce((SELECT jsonb_agg(jsonb_build_object('subscriber', d.subscriber, 'state', d.state, 'attempts', d.attempts,
                                                'nextAttemptAt', ${nextAttemptOf("d", "s")}, 'heldBy', s.held_by,
                                                'late', d.late) ORDER BY d.subscriber)
              FROM penstock.deliveries d LEFT JOIN LATERAL ${subscriberOf("d.subscriber")} AS s ON true
             WHERE d.day = e.day AND d.seq = e.seq), '[]') AS deliveries`;

// Row by row, by LIMIT: the planner takes day and seq for independent, expects next to no rows of a join on both, and would read
// whole tables.
export const STATUS_JOIN = `
  LEFT JOIN LATERAL (SELECT * FROM penstock.quarantine WHERE day = e.day AND seq = e.seq LIMIT 1) AS q ON true`;

const SUMMARISE = statement({
  rows: SUMMARY_ROW,
  text: sql`
    SELECT ${SUMMARY} FROM unnest(${{ days: "date[]", seqs: "int8[]" }}) WITH ORDINALITY AS w (day, seq, nth),
           LATERAL (SELECT * FROM penstock.events WHERE day = w.day AND seq = w.seq LIMIT 1) AS e ${STATUS_JOIN}
     ORDER BY w.nth`,
});

/** Processed events with their deliveries, in the order given, without events that are gone. */
export async function summarise(store: Store, pointers: readonly EventPointer[]): Promise<EventSummary[]> {
  if (pointers.length === 0) return [];
  const { rows } = await query(store.pool, SUMMARISE, {
    days: pointers.map(({ day }) => day),
    seqs: pointers.map(({ seq }) => seq),
  });
  return rows.map(toSummary);
}

/** An event that is not processed yet. */
export function toWaiting(row: WaitingRow): EventSummary {
  return toSummary({
    ...row,
    reason: null,
    detail: null,
    dismissed_at: null,
    mended_by: null,
    erased: null,
    deliveries: [],
  });
}

export function toSummary(row: RowOf<typeof SUMMARISE>): EventSummary {
  return {
    seq: Number(row.seq),
    day: row.day,
    source: row.source,
    id: row.event_id,
    type: row.type,
    status: row.status,
    receivedAt: row.received_at.toISOString(),
    createdAt: row.created_at?.toISOString() ?? null,
    bytes: row.bytes,
    quarantine:
      row.reason === null
        ? null
        : { reason: row.reason, detail: row.detail, dismissedAt: row.dismissed_at?.toISOString() ?? null },
    mendedBy: row.mended_by,
    deliveries: row.deliveries,
    erased: row.erased,
    madeBy: row.replay_id === null ? null : { replay: row.replay_id, of: Number(row.replay_of) },
  };
}
