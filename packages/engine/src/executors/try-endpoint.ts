import { toTraceparent } from "@penstock/telemetry";
import { decodeFor } from "../delivery/decode-delivery.ts";
import { deliveryResult, pendingDelivery, type Tried } from "../delivery/delivery-result.ts";
import type { HealthSignal } from "./endpoint-health.ts";
import { endpointLane, passesFilter, SKIPPED_BY_FILTER } from "./endpoint-subscription.ts";
import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import type { ClaimedDelivery, ClaimedEffect, DeliveryResult, LeasedEndpoint } from "../contract/engine-store.ts";
import { EndpointError } from "../outage/errors.ts";
import { postDelivery } from "./post-delivery.ts";
import { traceAttempt } from "../delivery/trace-attempt.ts";

/** One attempt and five retries: the first within 30 s, all of them within 16 minutes. */
const RETRY = { attempts: 6, baseMs: 30_000, capMs: 3_600_000 };

/** What became of a delivery that a run of an endpoint had claimed. */
export interface EndedDelivery {
  readonly delivery: ClaimedDelivery;
  /** Null when the delivery is handed back untried. */
  readonly result: DeliveryResult | null;
  /** Null when nothing was sent. */
  readonly signal: HealthSignal | null;
  readonly error: unknown;
}

/** An endpoint with its secrets opened. */
export type SigningEndpoint = LeasedEndpoint & { readonly openedSecrets: readonly string[] };

/** Makes one attempt of a delivery to an endpoint. Never rejects. */
export async function tryEndpoint(
  engine: EngineContext,
  outbound: Outbound,
  endpoint: SigningEndpoint,
  claimed: ClaimedEffect,
): Promise<EndedDelivery> {
  const { delivery, event: stored } = claimed;
  const subscriber = { name: endpoint.id, retry: retryOf(endpoint) };
  const { attempt, onRecord } = delivery;
  const tried: Tried = { attempt, startedAt: new Date(), traceparent: null, onRecord };
  try {
    return await traceAttempt(delivery, (span) => run({ ...tried, traceparent: toTraceparent(span) }));
  } catch (error) {
    return toUnsent(delivery, deliveryResult(engine, subscriber, stored, { ok: false, error }, tried));
  }

  async function run(traced: Tried): Promise<EndedDelivery> {
    const decoding = decodeFor(engine, subscriber, stored, traced);
    if (!decoding.ok) return toUnsent(delivery, decoding.result);
    const { decoded } = decoding;
    const untried = { ...pendingDelivery(stored, endpoint.id), attempts: attempt - 1 };
    if (!passesFilter(endpoint, decoded)) {
      return toUnsent(delivery, { ...untried, state: "skipped", skipReason: SKIPPED_BY_FILTER });
    }
    // A replay cannot tell lanes: a delivery that it made takes its place in the lane now.
    const place = delivery.lane === null ? endpointLane(endpoint, decoded) : null;
    if (place !== null) return toUnsent(delivery, { ...untried, lane: place });
    const outcome = await postDelivery(engine, outbound, endpoint, delivery, decoded);
    if (outcome === "aborted") return toUnsent(delivery, null);
    const result = deliveryResult(engine, subscriber, stored, outcome, traced);
    const error = outcome.ok === false ? outcome.error : undefined;
    const asked = error instanceof EndpointError ? error.retryAfterMs : null;
    const retryAfterMs = asked === null ? null : Math.min(asked, RETRY.capMs);
    return { delivery, result, signal: { ok: outcome.ok === true, retryAfterMs }, error };
  }
}

/** The end of a delivery for which nothing was sent. */
export function toUnsent(delivery: ClaimedDelivery, result: DeliveryResult | null): EndedDelivery {
  return { delivery, result, signal: null, error: undefined };
}

function retryOf({ scheduleMs }: LeasedEndpoint) {
  return scheduleMs === null ? RETRY : { ...RETRY, attempts: scheduleMs.length + 1, scheduleMs };
}
