import type { DecodedEvent } from "./decode-event.ts";
import type { EndpointDelivery, EndpointSubscription, EngineTransaction, LanePlace } from "./engine-store.ts";
import { ALL_TYPES, OWN_EVENT_TYPES, SKIPPED_WHILE_DISABLED } from "@penstock/schemas";
import { placeInLane } from "./lane.ts";

/** Why a delivery that a replay made is not sent. */
export const SKIPPED_BY_FILTER = "its endpoint's filter does not let it through";

/** Deliveries of these events to the endpoints that want them, event by event. Made as they are asked for: they can be many. */
function* endpointDeliveries(
  endpoints: readonly EndpointSubscription[],
  decoded: readonly DecodedEvent[],
): Generator<EndpointDelivery> {
  if (endpoints.length === 0) return;
  const byType = new Map<string, EndpointSubscription[]>();
  for (const { stored, event } of decoded) {
    let ofType = byType.get(event.type);
    if (ofType === undefined) {
      ofType = endpoints.filter(({ types }) => wantsType(types, event.type));
      byType.set(event.type, ofType);
    }
    for (const endpoint of ofType) {
      if (!passesFilter(endpoint, event)) continue;
      const lane = endpointLane(endpoint, event);
      const skipReason = endpoint.disabled ? SKIPPED_WHILE_DISABLED : null;
      yield { event: stored, subscriber: endpoint.id, lane, skipReason };
    }
  }
}

/** All is all that sources send: our own events tell of other endpoints, and are for those that ask for them by name. */
function wantsType(types: readonly string[], type: string): boolean {
  const own: readonly string[] = OWN_EVENT_TYPES;
  return types.includes(type) || (types.includes(ALL_TYPES) && !own.includes(type));
}

/** Whether an event has one of the values that the filter wants, at each of its paths. */
export function passesFilter({ filter }: Pick<EndpointSubscription, "filter">, event: object): boolean {
  if (filter === null) return true;
  return Object.entries(filter).every(([path, wanted]) => {
    const found = textAt(event, path);
    return found !== null && wanted.includes(found);
  });
}

/** Where an event stands in the lanes of an endpoint: by the provider's date; null where it has no such value, or no lanes. */
export function endpointLane(
  { lane }: Pick<EndpointSubscription, "lane">,
  event: DecodedEvent["event"],
): LanePlace | null {
  const key = lane === null ? null : textAt(event, lane);
  return key === null ? null : placeInLane(key, event, "strict");
}

/** The text, number or truth value at a path, as text; null where there is none. */
function textAt(event: object, path: string): string | null {
  let value: unknown = event;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return null;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : null;
}

/** Records what endpoints get of these events, and returns which of them have something that waits. */
export async function recordForEndpoints(
  tx: EngineTransaction,
  endpoints: readonly EndpointSubscription[],
  decoded: readonly DecodedEvent[],
): Promise<string[]> {
  const waiting = new Set<string>();
  function* noted(): Generator<EndpointDelivery> {
    // What an operator made for a replay is for handlers: nobody else is to get it for what a provider sent.
    const sent = decoded.filter(({ stored }) => stored.replay === null);
    for (const delivery of endpointDeliveries(endpoints, sent)) {
      if (delivery.skipReason === null) waiting.add(delivery.subscriber);
      yield delivery;
    }
  }
  if (endpoints.length > 0 && decoded.length > 0) await tx.recordEndpointDeliveries(noted());
  return [...waiting];
}
