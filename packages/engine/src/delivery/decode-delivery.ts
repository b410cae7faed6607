import type { Handler } from "@penstock/handler-sdk";
import { type DecodedEvent, decodeEvent } from "../event/decode-event.ts";
import { deliveryResult, pendingDelivery, type Tried, wants } from "./delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { ClaimedDelivery, DeliveryResult, LanePlace, StoredEvent } from "../contract/engine-store.ts";
import { laneOf } from "../handler/lane.ts";

/** How long a delivery rests whose type this worker's version of the handler does not know, so that another worker gets it. */
const NOT_FOR_US_MS = 10_000;

type DecodedDelivery =
  { readonly ok: true; readonly decoded: DecodedEvent } | { readonly ok: false; readonly result: DeliveryResult };

/** Decodes the event of a delivery for any subscriber. A delivery whose event is no longer understood has failed. */
export function decodeFor(
  engine: Pick<EngineContext, "random" | "findSource">,
  subscriber: Pick<Handler, "name" | "retry">,
  stored: StoredEvent,
  tried: Tried,
): DecodedDelivery {
  const decoding = decodeEvent(stored, engine.findSource);
  if (decoding.ok) return decoding;
  // The event was understood when the delivery was recorded: a schema has become stricter.
  const error = new Error(`the event is not understood any more: ${decoding.quarantine.reason}`);
  return { ok: false, result: deliveryResult(engine, subscriber, stored, { ok: false, error }, tried) };
}

/** Decodes the event of a delivery for its handler, or gives the result of a delivery that cannot run here. */
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
    // Recorded by a worker with a newer version of the handler, and left to such a worker.
    const waiting = { ...pendingDelivery(stored, handler.name), retryInMs: NOT_FOR_US_MS };
    return { ok: false, result: { ...waiting, attempts: tried.attempt - 1 } };
  }
  if (lane !== null) return decoding;
  // Recorded without a place in a lane, by a worker that could not tell the lane: the delivery takes its place now.
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
