import { type Answer, isSuccess, signatureHeaders } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import {
  instruments,
  isTraceparent,
  isTracing,
  markFailed,
  SpanKind,
  toTraceparent,
  withSpan,
} from "@penstock/telemetry";
import type { DecodedEvent } from "../event/decode-event.ts";
import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import type { ClaimedDelivery, LeasedEndpoint } from "../contract/engine-store.ts";
import { EndpointError } from "../outage/errors.ts";
import { idempotencyKey } from "../event/idempotency-key.ts";
import { outboundBody } from "../event/outbound-body.ts";
import type { HandlerOutcome } from "../handler/run-handler.ts";

/** The endpoint is gone for good. */
const GONE = 410;

/** Statuses whose Retry-After is heeded. */
const ASK_FOR_PATIENCE = new Set([429, 503]);

/**
 * Sends an event to an endpoint, signed by each live secret. `aborted`: the engine's signal ended the request, which says nothing
 * about the endpoint.
 *
 * @throws UnsendableEventError when the event has no body that can be sent: then nothing was sent.
 */
export async function postDelivery(
  engine: Pick<EngineContext, "findSource" | "signal">,
  outbound: Outbound,
  endpoint: LeasedEndpoint & { readonly openedSecrets: readonly string[] },
  delivery: ClaimedDelivery,
  decoded: DecodedEvent,
): Promise<HandlerOutcome | "aborted"> {
  const { event } = decoded;
  const source = engine.findSource(decoded.stored.source);
  const body = outboundBody(decoded, source);
  const id = idempotencyKey(endpoint.id, event, delivery.generation);
  const signed = signatureHeaders({
    id,
    timestamp: Math.floor(wallClockMs() / 1_000),
    body,
    secrets: endpoint.openedSecrets,
    headerName: endpoint.headerName ?? source?.plainSignatureHeader ?? null,
  });
  const attributes = { "penstock.handler": endpoint.id, "penstock.attempt": delivery.attempt };
  return withSpan(`deliver ${endpoint.id}`, { kind: SpanKind.CLIENT, attributes }, async (span) => {
    // A trace that its sender did not sample goes on to the receiver as not sampled.
    const passedOn = isTracing() && isTraceparent(delivery.traceparent) ? delivery.traceparent : null;
    const traceparent = toTraceparent(span) ?? passedOn;
    const headers = { "content-type": "application/json", ...signed, ...(traceparent !== null && { traceparent }) };
    const answer = await outbound.post({ url: endpoint.url, headers, body, signal: engine.signal });
    if (answer.answered) span.setAttribute("http.response.status_code", answer.status);
    if (!answer.answered && answer.code === "ABORTED") return "aborted";
    const outcome = outcomeOf(answer);
    const timedOut = !answer.answered && answer.code === "TIMEOUT";
    instruments.outboundDuration().record(answer.durationMs / 1_000, {
      outcome: outcome.ok === true ? "succeeded" : timedOut ? "timed-out" : "failed",
    });
    if (outcome.ok === false) markFailed(span, outcome.error);
    return outcome;
  });
}

function outcomeOf(answer: Answer): HandlerOutcome {
  if (!answer.answered) {
    const code = answer.code === "TIMEOUT" ? "HANDLER_TIMEOUT" : "NOT_TAKEN";
    return { ok: false, error: new EndpointError(answer.code, code, answer.message) };
  }
  const { status, body, retryAfterMs } = answer;
  if (isSuccess(status)) return { ok: true };
  // A Retry-After of 0, or of a time that is past by our clock, would use up all attempts at once.
  const asks = ASK_FOR_PATIENCE.has(status) && retryAfterMs !== null && retryAfterMs > 0;
  const code = status === GONE ? "PERMANENT" : asks ? "RETRY_AFTER" : "NOT_TAKEN";
  const message = body === "" ? "answered with an empty body" : body;
  return { ok: false, error: new EndpointError(`HTTP ${status}`, code, message, asks ? retryAfterMs : null) };
}
