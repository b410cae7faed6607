import type { Attributes } from "@opentelemetry/api";

/** What spans say of an event: where it came from, its id and its type, cleaned for display. */
export function eventAttributes(event: {
  readonly source: string;
  readonly eventId: string | null;
  readonly type: string | null;
}): Attributes {
  const { source, eventId, type } = event;
  return {
    "penstock.source": source,
    ...(eventId !== null && { "penstock.event.id": eventId }),
    ...(type !== null && { "penstock.event.type": type }),
  };
}
