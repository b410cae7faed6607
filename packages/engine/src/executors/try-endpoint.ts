import { toTraceparent } from "@penstock/telemetry";
import { decodeFor } from "../delivery/decode-delivery.ts";
import { deliveryResult, pendingDelivery, type Tried } from "../delivery/delivery-result.ts";
import type { Sign } from "./endpoint-health.ts";
import { endpointLane, passesFilter, SKIPPED_BY_FILTER } from "./endpoint-subscription.ts";
import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import type { ClaimedDelivery, ClaimedEffect, DeliveryResult, OpenedEndpoint } from "../contract/engine-store.ts";
import { EndpointError } from "../outage/errors.ts";
import { postDelivery } from "./post-delivery.ts";
import { traceAttempt } from "../delivery/trace-attempt.ts";

/** One attempt and five retries: within 30 s at first, within 16 minutes all of them. */
const RETRY = { attempts: 6, baseMs: 30_000, capMs: 3_600_000 };

/** A delivery to an endpoint that has ended. */
export interface Ended {
  readonly delivery: ClaimedDelivery;
  /** Null: handed back untried. */
  readonly result: DeliveryResult | null;
  /** What it tells of the endpoint; null where nothing was sent. */
  readonly sign: Sign | null;
  readonly error: unknown;
}

/** An endpoint with what it takes to sign for it. */
export type SigningEndpoint = OpenedEndpoint & { readonly openedSecrets: readonly string[] };

/** Tries one delivery to an endpoint. Never rejects. */
export async function tryEndpoint(
  engine: EngineContext,
  outbound: Outbound,
  endpoint: SigningEndpoint,
  claimed: ClaimedEffect,
): Promise<Ended> {
  const { delivery, event: stored } = claimed;
  const subscriber = { name: endpoint.id, retry: retryOf(endpoint) };
  const { attempt, onRecord } = delivery;
  const tried: Tried = { attempt, startedAt: new Date(), traceparent: null, onRecord };
  try {
    return await traceAttempt(delivery, (span) => run({ ...tried, traceparent: toTraceparent(span) }));
  } catch (error) {
    return toEnded(delivery, deliveryResult(engine, subscriber, stored, { ok: false, error }, tried));
  }

  async function run(traced: Tried): Promise<Ended> {
    const decoding = decodeFor(engine, subscriber, stored, traced);
    if (!decoding.ok) return toEnded(delivery, decoding.result);
    const { decoded } = decoding;
    const untried = { ...pendingDelivery(stored, endpoint.id), attempts: attempt - 1 };
    if (!passesFilter(endpoint, decoded)) {
      return toEnded(delivery, { ...untried, state: "skipped", skipReason: SKIPPED_BY_FILTER });
    }
    // Made by a replay, which cannot tell lanes: it takes its place now.
    const place = delivery.lane === null ? endpointLane(endpoint, decoded) : null;
    if (place !== null) return toEnded(delivery, { ...untried, lane: place });
    const outcome = await postDelivery(engine, outbound, endpoint, delivery, decoded);
    if (outcome === "aborted") return toEnded(delivery, null);
    const result = deliveryResult(engine, subscriber, stored, outcome, traced);
    const error = outcome.ok === false ? outcome.error : undefined;
    const asked = error instanceof EndpointError ? error.retryAfterMs : null;
    const retryAfterMs = asked === null ? null : Math.min(asked, RETRY.capMs);
    return { delivery, result, sign: { ok: outcome.ok === true, retryAfterMs }, error };
  }
}

/** What became of a delivery for which nothing was sent. */
export function toEnded(delivery: ClaimedDelivery, result: DeliveryResult | null): Ended {
  return { delivery, result, sign: null, error: undefined };
}

function retryOf({ scheduleMs }: OpenedEndpoint) {
  return scheduleMs === null ? RETRY : { ...RETRY, attempts: scheduleMs.length + 1, scheduleMs };
}
