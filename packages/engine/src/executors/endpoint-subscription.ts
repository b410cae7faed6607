import type { DecodedEvent } from "../event/decode-event.ts";
import type { EndpointDelivery, EndpointSubscription, EngineTransaction, LanePlace } from "../contract/engine-store.ts";
import { ALL_TYPES, OWN_EVENT_TYPES, SKIPPED_WHILE_DISABLED, sliceJson } from "@penstock/schemas";
import { placeInLane } from "../handler/lane.ts";

/** Why a delivery that a replay made is not sent. */
export const SKIPPED_BY_FILTER = "its endpoint's filter does not let it through";

/** Deliveries of these events to the endpoints that want them, event by event. Made as they are asked for: they can be many. */
function* endpointDeliveries(
  endpoints: readonly EndpointSubscription[],
  decoded: readonly DecodedEvent[],
  filtered: boolean,
): Generator<EndpointDelivery> {
  if (endpoints.length === 0) return;
  const byType = new Map<string, EndpointSubscription[]>();
  for (const one of decoded) {
    const { stored, event } = one;
    let ofType = byType.get(event.type);
    if (ofType === undefined) {
      ofType = endpoints.filter(({ types }) => wantsType(types, event.type));
      byType.set(event.type, ofType);
    }
    for (const endpoint of ofType) {
      if (filtered && !passesFilter(endpoint, one)) continue;
      const lane = endpointLane(endpoint, one);
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

/**
 * Whether an event has one of the values that the filter wants, at each of its paths. A number may be wanted as JSON.parse
 * reads it or as it was sent; one that a double cannot hold only as it was sent, since others are rounded to the same.
 */
export function passesFilter({ filter }: Pick<EndpointSubscription, "filter">, decoded: DecodedEvent): boolean {
  if (filter === null) return true;
  return Object.entries(filter).every(([path, wanted]) => {
    const value = valueAt(decoded.event, path);
    if (value === null) return false;
    if (isExact(value) && wanted.includes(String(value))) return true;
    // The body is read only for what can be the same number: endpoints can be many, and bodies long.
    return wanted.some((text) => Number(text) === value) && wanted.includes(sentText(decoded, path, value));
  });
}

/** Where an event stands in the lanes of an endpoint: by the provider's date; null where it has no such value, or no lanes. */
export function endpointLane({ lane }: Pick<EndpointSubscription, "lane">, decoded: DecodedEvent): LanePlace | null {
  const value = lane === null ? null : valueAt(decoded.event, lane);
  if (lane === null || value === null) return null;
  return placeInLane(isExact(value) ? String(value) : sentText(decoded, lane, value), decoded.event, "strict");
}

type Scalar = string | number | boolean;

/** The text, number or truth value at a path; null where there is none. */
function valueAt(event: object, path: string): Scalar | null {
  let value: unknown = event;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return null;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

/** Whether a value is what was sent. Integers beyond 2^53 and what is too large for a double are read as another number. */
function isExact(value: Scalar): boolean {
  return typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
}

/** A number of an event as it was sent; as it was read where its source reads no JSON. */
function sentText({ stored, json }: DecodedEvent, path: string, value: Scalar): string {
  const names = path.split(".");
  const sent = (json === null ? sliceJson(stored.body, names) : sliceJson(json, names.slice(1)))?.toString();
  return sent !== undefined && Number(sent) === value ? sent : String(value);
}

/**
 * Records what endpoints get of these events, and returns which of them have something that waits. Where it is not `filtered`,
 * each delivery is when its turn comes.
 */
export async function recordForEndpoints(
  tx: EngineTransaction,
  endpoints: readonly EndpointSubscription[],
  decoded: readonly DecodedEvent[],
  { filtered }: { readonly filtered: boolean },
): Promise<string[]> {
  const waiting = new Set<string>();
  function* noted(): Generator<EndpointDelivery> {
    // What an operator made for a replay is for handlers: nobody else is to get it for what a provider sent.
    const sent = decoded.filter(({ stored }) => stored.replay === null);
    for (const delivery of endpointDeliveries(endpoints, sent, filtered)) {
      if (delivery.skipReason === null) waiting.add(delivery.subscriber);
      yield delivery;
    }
  }
  if (endpoints.length > 0 && decoded.length > 0) await tx.recordEndpointDeliveries(noted());
  return [...waiting];
}
