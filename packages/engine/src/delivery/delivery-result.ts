import type { AnyEvent, Handler, TransactionalHandler } from "@penstock/handler-sdk";
import type { DecodedEvent } from "../event/decode-event.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { DeliveryResult, RegisteredHandler, StoredEvent } from "../contract/engine-store.ts";
import { codeOf, describeError, EndpointError, placeOf } from "../outage/errors.ts";
import type { EventTraces } from "../event/event-traces.ts";
import { laneOf } from "../handler/lane.ts";
import { nextStep } from "./retry-policy.ts";
import type { HandlerOutcome } from "../handler/run-handler.ts";

/** What became of batches. */
export interface BatchReport {
  readonly batches: number;
  /** Those that were new. */
  readonly events: number;
  /** Copies of others, which were left out. */
  readonly duplicates: number;
  /** Those of the new ones whose id was accepted with another body before. */
  readonly conflicts: number;
  /** Whether the claim was cut short by a limit, so that more may be pending. */
  readonly more: boolean;
  readonly quarantined: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Subscribers for which it recorded deliveries that are due and wait to be run. */
  readonly waiting: readonly string[];
}

/** True when a handler subscribes to an event. */
export function wants(handler: Pick<Handler, "on">, event: AnyEvent): boolean {
  return handler.on.includes(event.type);
}

/** True for a handler whose events run in the transaction of their batch. */
export function isBatched(handler: Handler): handler is TransactionalHandler {
  return handler.kind === "transactional" && handler.lanes === null;
}

/**
 * Deliveries for what does not run in a batch: effect handlers, handlers with lanes or that are paused, and what other
 * workers handle and this one does not, i.e. a handler that it lacks, or a type that its older version of a handler does
 * not subscribe to. Forgotten by nobody. They are pending, each with its place in its lane; one whose lane cannot be told
 * has failed. Where the lane is not known here, or telling it may be what kills this process, it is found when the
 * delivery is to run.
 */
export function deliveriesOfTheirOwn(
  engine: Pick<EngineContext, "handlers" | "random">,
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

/** A delivery that waits for a worker to run it by itself. */
export function pendingDelivery(event: StoredEvent, subscriber: string): DeliveryResult {
  return { event, subscriber, state: "pending", retryInMs: 0, attempts: 0 };
}

/** A try of a delivery: which, since when, and its span for the next one to link to. */
export interface Tried {
  readonly attempt: number;
  readonly startedAt: Date;
  readonly traceparent: string | null;
  /** Whether something of the delivery is on record: then its success is, too. */
  readonly onRecord?: boolean;
}

/** What to record of a subscriber's outcome, and what comes next when it failed. What commits it calls `tellFailures`. */
export function deliveryResult(
  engine: Pick<EngineContext, "random">,
  handler: Pick<Handler, "name" | "retry">,
  event: Pick<StoredEvent, "seq" | "day" | "eventId">,
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
  const error = describeError(outcome.error);
  const place = placeOf(outcome.error);
  const fields = {
    handler: handler.name,
    eventId: event.eventId,
    seq: event.seq,
    attempt,
    ...next,
    // What an endpoint has answered can quote what it was sent.
    ...(outcome.error instanceof EndpointError ? { errorClass: error.errorClass } : error),
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

/** Logs the failures among results that have been committed: what is undone and run again would be told twice. */
export function tellFailures({ log }: Pick<EngineContext, "log">, results: readonly DeliveryResult[]): void {
  for (const { failure } of results) if (failure !== undefined) log.warn(failure.fields, failure.message);
}

/** Adds up what became of some events; `endpoints` have deliveries that wait, too. */
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
