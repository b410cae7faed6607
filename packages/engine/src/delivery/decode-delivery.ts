import type { Handler } from "@penstock/handler-sdk";
import { type DecodedEvent, decodeEvent } from "../event/decode-event.ts";
import { deliveryResult, pendingDelivery, type Tried, wants } from "./delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { ClaimedDelivery, DeliveryResult, LanePlace, StoredEvent } from "../contract/engine-store.ts";
import { laneOf } from "../handler/lane.ts";

/** How long a delivery rests that this worker's version of the handler does not know, so that another can have it. */
const NOT_FOR_US_MS = 10_000;

type DecodedDelivery =
  { readonly ok: true; readonly decoded: DecodedEvent } | { readonly ok: false; readonly result: DeliveryResult };

/** Turns the event of a delivery into what any subscriber sees. One that is not understood any more has failed. */
export function decodeFor(
  engine: Pick<EngineContext, "random" | "findSource">,
  subscriber: Pick<Handler, "name" | "retry">,
  stored: StoredEvent,
  tried: Tried,
): DecodedDelivery {
  const decoding = decodeEvent(stored, engine.findSource);
  if (decoding.ok) return decoding;
  // Understood when it was delivered, not any more: a schema became stricter. Kept, and said.
  const error = new Error(`the event is not understood any more: ${decoding.quarantine.reason}`);
  return { ok: false, result: deliveryResult(engine, subscriber, stored, { ok: false, error }, tried) };
}

/** Turns the event of a delivery into what its handler sees, or says what becomes of the delivery instead. */
export function decodeDelivery(
  engine: EngineContext,
  handler: Handler,
  { lane }: Pick<ClaimedDelivery, "lane">,
  stored: StoredEvent,
  tried: Tried,
): DecodedDelivery {
  const decoding = decodeFor(engine, handler, stored, tried);
  if (!decoding.ok) return decoding;
  if (!wants(handler, decoding.decoded.event)) {
    // Left by a worker with a newer version of the handler: for such a one it waits.
    const waiting = { ...pendingDelivery(stored, handler.name), retryInMs: NOT_FOR_US_MS };
    return { ok: false, result: { ...waiting, attempts: tried.attempt - 1 } };
  }
  if (lane !== null) return decoding;
  // Left by a worker that could not tell its lane, or because the lane could not be told: it takes its place there now.
  let place: LanePlace | null;
  try {
    place = laneOf(handler, decoding.decoded);
  } catch (error) {
    return { ok: false, result: deliveryResult(engine, handler, stored, { ok: false, error }, tried) };
  }
  if (place === null) return decoding;
  const waiting = pendingDelivery(stored, handler.name);
  return { ok: false, result: { ...waiting, attempts: tried.attempt - 1, lane: place } };
}
