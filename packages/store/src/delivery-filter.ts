import type { Store } from "./create-store.ts";
import { findEvents } from "./find-events.ts";

export const DELIVERY_STATES = ["pending", "running", "succeeded", "retrying", "dead", "skipped", "cancelled"] as const;

export type DeliveryStateName = (typeof DELIVERY_STATES)[number];

/** Which events are meant, or which of their deliveries; what is left out is not asked for. */
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

/**
 * The part of a filter that is about events `e`; its parameters are $1 to $7. Where the rows are looked for by another
 * table that is partitioned as they are, `key` is that table.
 */
export function eventMatches(key: "d" | "e"): string {
  return `
  ($1::text IS NULL OR e.source = $1) AND ($2::text IS NULL OR e.type = $2)
  AND ($3::timestamptz IS NULL OR (${key}.day >= ($3 AT TIME ZONE 'UTC')::date AND e.received_at >= $3))
  AND ($4::timestamptz IS NULL OR (${key}.day <= ($4 AT TIME ZONE 'UTC')::date AND e.received_at < $4))
  AND ($5::text IS NULL OR e.subjects @> ARRAY[$5])
  AND ($6::bigint[] IS NULL OR (${key}.day = ANY($7::date[]) AND ${key}.seq = ANY($6)))`;
}

/** The parameters of {@link eventMatches}. */
export async function toEventParameters(
  store: Store,
  { source, type, since, until, subject, event }: DeliveryFilter,
): Promise<unknown[]> {
  const named = event === undefined ? null : await findEvents(store, event, source);
  const pointers = [named?.map(({ seq }) => seq), named?.map(({ day }) => day)];
  return [source, type, since, until, subject, ...pointers].map((value) => value ?? null);
}
