import type { FieldKey, Term } from "@penstock/schemas/search";
import type { Store } from "../connection/create-store.ts";
import type { DeliveryFilter } from "../deliveries/delivery-filter.ts";
import type { EventSummary } from "../events/event-summary.ts";
import { searchEvents } from "./search-events.ts";

/** Which events are meant. With a handler or a state, those that have such a delivery. */
export interface EventFilter extends DeliveryFilter {
  readonly limit?: number;
  readonly status?: EventSummary["status"];
  /** Of those in quarantine, only what nobody has dismissed. */
  readonly open?: boolean;
  /** Only events before this one: the last of the page before. */
  readonly before?: { readonly day: string; readonly seq: number };
}

/** A filter as the terms of a query. */
export function toTerms(filter: EventFilter): Term[] {
  const { source, type, handler, state, status, subject, event, since, until } = filter;
  const field = (key: FieldKey, value: string | undefined): Term[] =>
    value === undefined ? [] : [{ kind: "field", key, value, prefix: false, not: false }];
  const time = (key: "after" | "before", at: Date | undefined): Term[] =>
    at === undefined ? [] : [{ kind: "time", key, at: at.toISOString() }];
  return [
    ...field("id", event),
    ...field("source", source),
    ...field("type", type),
    ...field("handler", handler),
    ...field("state", state),
    ...field("status", status),
    ...field("subject", subject),
    ...time("after", since),
    ...time("before", until),
  ];
}

/** The events that match, the newest first; see {@link searchEvents}. */
export async function listEvents(store: Store, filter: EventFilter = {}): Promise<readonly EventSummary[]> {
  const { limit, before, open } = filter;
  const { items } = await searchEvents(store, {
    terms: toTerms(filter),
    ...(limit !== undefined && { limit }),
    ...(before !== undefined && { before }),
    ...(open !== undefined && { open }),
  });
  return items;
}
