import type { AnyEvent, Handler, TransactionalHandler } from "@penstock/handler-sdk";
import { createHide, normaliseMessage } from "@penstock/schemas";
import type { DecodedEvent } from "../event/decode-event.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { DeliveryResult, RegisteredHandler, StoredEvent } from "../contract/engine-store.ts";
import { codeOf, describeError, EndpointError, placeOf } from "../outage/errors.ts";
import type { EventTraces } from "../event/event-traces.ts";
import { laneOf } from "../handler/lane.ts";
import { nextStep } from "./retry-policy.ts";
import type { HandlerOutcome } from "../handler/run-handler.ts";

/** What came of a claim of batches. */
export interface BatchReport {
  readonly batches: number;
  /** New events. */
  readonly events: number;
  /** Copies of known events, which were left out. */
  readonly duplicates: number;
  /** New events whose id was accepted with another body before. */
  readonly conflicts: number;
  /** Whether a limit cut the claim short, so that more batches may be pending. */
  readonly more: boolean;
  readonly quarantined: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Subscribers with new deliveries that are due and wait to be run. */
  readonly waiting: readonly string[];
}

/** True when a handler subscribes to an event. */
export function wants(handler: Pick<Handler, "on">, event: AnyEvent): boolean {
  return handler.on.includes(event.type);
}

/** True for a handler that runs inside the batch's transaction. */
export function isBatched(handler: Handler): handler is TransactionalHandler {
  return handler.kind === "transactional" && handler.lanes === null;
}

/**
 * Deliveries for handlers that do not run in the batch: effect handlers, handlers with lanes, paused handlers, and handlers or
 * types that only other workers have. The deliveries are pending, each with its place in its lane; where `lane` of the handler
 * throws, the delivery has failed. Without `tellLanes`, or for a handler that this worker lacks, the place is found when the
 * delivery is to run.
 */
export function deliveriesOfTheirOwn(
  engine: Pick<EngineContext, "handlers" | "random" | "findSource">,
  registered: readonly RegisteredHandler[],
  decoded: readonly DecodedEvent[],
  traces: Pick<EventTraces, "traceparentOf" | "failed">,
  { tellLanes = true } = {},
): DeliveryResult[] {
  const known = new Map(registered.map((handler) => [handler.name, handler]));
  const results: DeliveryResult[] = [];
  for (const name of new Set([...known.keys(), ...engine.handlers.map((handler) => handler.name)])) {
    const mine = engine.handlers.find((handler) => handler.name === name);
    const theirs = known.get(name);
    for (const one of decoded) {
      const { stored, event } = one;
      const wanted = mine !== undefined && wants(mine, event);
      if (!wanted) {
        if (theirs?.types.includes(event.type)) results.push(pendingDelivery(stored, name));
        continue;
      }
      if (isBatched(mine) && !theirs?.paused) continue;
      try {
        results.push({ ...pendingDelivery(stored, name), lane: tellLanes ? laneOf(mine, one) : null });
      } catch (error) {
        traces.failed(stored, error);
        const tried = { attempt: 1, startedAt: new Date(), traceparent: traces.traceparentOf(stored) };
        results.push(deliveryResult(engine, mine, stored, { ok: false, error }, tried));
      }
    }
  }
  return results;
}

/** A delivery that waits for a worker. */
export function pendingDelivery(event: StoredEvent, subscriber: string): DeliveryResult {
  return { event, subscriber, state: "pending", retryInMs: 0, attempts: 0 };
}

/** An attempt of a delivery: its number, its start, and the `traceparent` of its span for the next attempt to link to. */
export interface Tried {
  readonly attempt: number;
  readonly startedAt: Date;
  readonly traceparent: string | null;
  /** Whether an attempt of the delivery has a row: then its success gets a row, too. */
  readonly onRecord?: boolean;
}

/** The result to record for an outcome, with the next step after a failure. Whoever commits the result calls `tellFailures`. */
export function deliveryResult(
  engine: Pick<EngineContext, "random" | "findSource">,
  handler: Pick<Handler, "name" | "retry">,
  event: StoredEvent,
  outcome: HandlerOutcome,
  tried: Tried,
): DeliveryResult {
  const { attempt, startedAt, traceparent, onRecord = false } = tried;
  const delivery = { event, subscriber: handler.name, attempts: attempt };
  if (outcome.ok === "deferred") {
    return { ...delivery, state: attempt > 1 ? "retrying" : "pending", retryInMs: 0, attempts: attempt - 1 };
  }
  if (outcome.ok) {
    const success = { startedAt, outcome: "succeeded", errorClass: null, errorMessage: null, traceparent } as const;
    return { ...delivery, state: "succeeded", ...(attempt > 1 || onRecord ? { attempt: success } : {}) };
  }
  const next = nextStep(handler.retry, attempt, outcome.error, engine.random);
  const error = describeError(outcome.error, hideOf(engine, event));
  const place = placeOf(outcome.error);
  const fields = {
    handler: handler.name,
    eventId: event.eventId,
    seq: event.seq,
    attempt,
    ...next,
    errorClass: error.errorClass,
    // A handler's error can quote the event, and an endpoint's answer does: a log cannot be erased.
    ...(!(outcome.error instanceof EndpointError) && { errorMessage: normaliseMessage(error.errorMessage) }),
    at: place,
  };
  const message =
    next.state === "dead" ? "delivery failed for good, it is a dead letter" : "delivery failed, will retry";
  const timedOut = codeOf(outcome.error) === "HANDLER_TIMEOUT";
  return {
    ...delivery,
    ...next,
    attempt: { startedAt, outcome: timedOut ? "timed-out" : "failed", ...error, place, traceparent },
    failure: { fields, message },
  };
}

/** A function that masks in a text what is sensitive in an event. */
export function hideOf(
  { findSource }: Pick<EngineContext, "findSource">,
  { source, body }: Pick<StoredEvent, "source" | "body">,
): (text: string) => string {
  return createHide(body, findSource(source)?.sensitive ?? []);
}

/** Logs the failures among committed results. Before the commit, a failure that is rolled back and repeated would be logged twice. */
export function tellFailures({ log }: Pick<EngineContext, "log">, results: readonly DeliveryResult[]): void {
  for (const { failure } of results) if (failure !== undefined) log.warn(failure.fields, failure.message);
}

/** Sums up results; `endpoints` have deliveries that wait, too. */
export function report(
  counts: Partial<BatchReport> & Pick<BatchReport, "events">,
  results: readonly DeliveryResult[] = [],
  endpoints: Iterable<string> = [],
): BatchReport {
  const count = (...states: string[]): number => results.filter(({ state }) => states.includes(state)).length;
  const waiting = results.filter(({ state }) => state === "pending").map(({ subscriber }) => subscriber);
  waiting.push(...endpoints);
  return {
    batches: 0,
    duplicates: 0,
    conflicts: 0,
    more: false,
    quarantined: 0,
    ...counts,
    succeeded: count("succeeded"),
    failed: count("retrying", "dead"),
    waiting: [...new Set(waiting)],
  };
}
