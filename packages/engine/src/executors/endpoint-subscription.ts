import type { DecodedEvent } from "../event/decode-event.ts";
import type { EndpointDelivery, EndpointSubscription, EngineTransaction, LanePlace } from "../contract/engine-store.ts";
import { ALL_TYPES, OWN_EVENT_TYPES, SKIPPED_WHILE_DISABLED, sliceJson } from "@penstock/schemas";
import { placeInLane } from "../handler/lane.ts";

/** Why a delivery that a replay made is skipped. */
export const SKIPPED_BY_FILTER = "its endpoint's filter does not let it through";

/** Yields deliveries of these events to the endpoints that subscribe, event by event: there can be many. */
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

/** `*` stands for all types that sources send. Penstock's own events are about other endpoints, and are subscribed to by name only. */
function wantsType(types: readonly string[], type: string): boolean {
  const own: readonly string[] = OWN_EVENT_TYPES;
  return types.includes(type) || (types.includes(ALL_TYPES) && !own.includes(type));
}

/**
 * Whether an event has one of the filter's values at each path. A filter may give a number as JSON.parse reads it or as it was sent;
 * a number that a double cannot hold only as it was sent, since other numbers round to the same double.
 */
export function passesFilter({ filter }: Pick<EndpointSubscription, "filter">, decoded: DecodedEvent): boolean {
  if (filter === null) return true;
  return Object.entries(filter).every(([path, wanted]) => {
    const value = valueAt(decoded.event, path);
    if (value === null) return false;
    if (isExact(value) && wanted.includes(String(value))) return true;
    // The body is read only for values that can be the same number: endpoints can be many, and bodies long.
    return wanted.some((text) => Number(text) === value) && wanted.includes(sentText(decoded, path, value));
  });
}

/** An event's place in the lanes of an endpoint, by the provider's date; null without lanes, or without a value at the path. */
export function endpointLane({ lane }: Pick<EndpointSubscription, "lane">, decoded: DecodedEvent): LanePlace | null {
  const value = lane === null ? null : valueAt(decoded.event, lane);
  if (lane === null || value === null) return null;
  return placeInLane(isExact(value) ? String(value) : sentText(decoded, lane, value), decoded.event, "strict");
}

type Scalar = string | number | boolean;

/** The string, number or boolean at a path; null without one. */
function valueAt(event: object, path: string): Scalar | null {
  let value: unknown = event;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return null;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

/** Whether a value is exactly what was sent. JSON.parse rounds integers beyond 2^53 and what is too large for a double. */
function isExact(value: Scalar): boolean {
  return typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
}

/** A number of an event as it was sent, or as it was read where the source's bodies are no JSON. */
function sentText({ stored, json }: DecodedEvent, path: string, value: Scalar): string {
  const names = path.split(".");
  const sent = (json === null ? sliceJson(stored.body, names) : sliceJson(json, names.slice(1)))?.toString();
  return sent !== undefined && Number(sent) === value ? sent : String(value);
}

/**
 * Records deliveries of these events to endpoints, and resolves to the endpoints with deliveries that wait. Without `filtered`, the
 * filters are applied when the deliveries are to be sent.
 */
export async function recordForEndpoints(
  tx: EngineTransaction,
  endpoints: readonly EndpointSubscription[],
  decoded: readonly DecodedEvent[],
  { filtered }: { readonly filtered: boolean },
): Promise<string[]> {
  const waiting = new Set<string>();
  function* noted(): Generator<EndpointDelivery> {
    // An event that an operator made for a replay is for handlers: no endpoint may take it for one that a provider sent.
    const sent = decoded.filter(({ stored }) => stored.replay === null);
    for (const delivery of endpointDeliveries(endpoints, sent, filtered)) {
      if (delivery.skipReason === null) waiting.add(delivery.subscriber);
      yield delivery;
    }
  }
  if (endpoints.length > 0 && decoded.length > 0) await tx.recordEndpointDeliveries(noted());
  return [...waiting];
}
