import { DELIVERY_STATES } from "@penstock/schemas/search";
import type { Store } from "../connection/create-store.ts";
import { findEvents } from "../events/find-events.ts";
import { sql } from "../connection/sql.ts";

export { DELIVERY_STATES };

export type DeliveryStateName = (typeof DELIVERY_STATES)[number];

/** Selects events or deliveries. Everything that is left out matches. */
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
  /** The event's id, or its seq: see {@link findEvents}. */
  readonly event?: string;
}

const source = { source: "text?" } as const;
const type = { type: "text?" } as const;
export const since = { since: "timestamptz?" } as const;
export const until = { until: "timestamptz?" } as const;
const subject = { subject: "text?" } as const;
export const seqs = { seqs: "int8[]?" } as const;

/**
 * SQL: the part of a filter that is about events `e`. `key` is the table by which the rows are found: events, or another table with
 * the same partitions.
 */
export const eventMatches = (key: "d" | "e") => sql`
  (${source} IS NULL OR e.source = ${source}) AND (${type} IS NULL OR e.type = ${type})
  AND (${since} IS NULL OR (${key}.day >= (${since} AT TIME ZONE 'UTC')::date AND e.received_at >= ${since}))
  AND (${until} IS NULL OR (${key}.day <= (${until} AT TIME ZONE 'UTC')::date AND e.received_at < ${until}))
  AND (${subject} IS NULL OR e.subjects @> ARRAY[${subject}])
  AND (${seqs} IS NULL OR (${key}.day = ANY(${{ days: "date[]?" }}) AND ${key}.seq = ANY(${seqs})))`;

/** SQL: nothing is run for an event `e` again that was erased. */
export const NOT_ERASED = "e.problem IS DISTINCT FROM 'erased'";

/** The values of {@link eventMatches}. */
export async function toEventValues(store: Store, filter: DeliveryFilter) {
  const { source, type, since, until, subject, event } = filter;
  const named = event === undefined ? null : await findEvents(store, event, source);
  const [seqs, days] = [named?.map(({ seq }) => seq), named?.map(({ day }) => day)];
  return { source, type, since, until, subject, seqs, days };
}
