import type { StoredEvent } from "@penstock/engine";
import { replayAs } from "./replay-columns.ts";

/** The columns of an event `e` that the engine needs; seq and day as text, since a bigint or a date would lose. */
export const EVENT_COLUMNS = `e.seq::text, e.day::text, e.source, e.event_id, e.type, e.subjects[1] AS subject,
  e.created_at, e.received_at, e.body, e.problem, e.traceparent,
  CASE WHEN e.replay_id IS NOT NULL THEN ${replayAs("e.replay_id")} END AS replay`;

export interface EventRow {
  seq: string;
  day: string;
  source: string;
  event_id: string | null;
  type: string | null;
  subject: string | null;
  created_at: Date | null;
  received_at: Date;
  body: Buffer;
  problem: string | null;
  traceparent: string | null;
  replay: StoredEvent["replay"];
}

export function toStoredEvent(row: EventRow): StoredEvent {
  return {
    seq: Number(row.seq),
    day: row.day,
    source: row.source,
    eventId: row.event_id,
    type: row.type,
    subject: row.subject,
    createdAt: row.created_at,
    receivedAt: row.received_at,
    body: row.body,
    problem: row.problem,
    traceparent: row.traceparent,
    replay: row.replay,
  };
}
