import { randomUUID } from "node:crypto";
import type { EffectHandler, HandlerLog } from "@penstock/handler-sdk";
import { eventAttributes, markFailed, type Span, toTraceparent, unsampledTrace, withSpan } from "@penstock/telemetry";
import { createOnce } from "./create-once.ts";
import { decodeDelivery } from "./decode-delivery.ts";
import type { DecodedEvent } from "./decode-event.ts";
import { deliveryResult, tellFailures, type Tried } from "./delivery-result.ts";
import type { Effect, EngineContext } from "./engine-context.ts";
import type { ClaimedDelivery, ClaimedEffect, DeliveryResult } from "./engine-store.ts";
import { codeOf, isConflict, isUnavailable } from "./errors.ts";
import { handBack } from "./hand-back.ts";
import { idempotencyKey } from "./idempotency-key.ts";
import { laneRuleOf } from "./lane.ts";
import { createOutagePause, insist } from "./outage-pause.ts";
import type { HandlerOutcome } from "./run-handler.ts";
import { traceAttempt } from "./trace-attempt.ts";
import { withDeadline } from "./with-deadline.ts";

/** A pointer to a delivery, as it came from the queue. */
export interface EffectPointer {
  readonly day: string;
  readonly seq: number;
  readonly subscriber: string;
  /** Whether its worker vanished before. */
  readonly interrupted: boolean;
}

/** How much longer than the handler's time-out a worker may hold a delivery, so that only a lost worker loses it. */
const LEASE_SLACK_MS = 30_000;

/**
 * Runs a delivery to an effect handler, where it is to be run: claims it, calls the handler outside of any transaction,
 * and writes what became of it where the lease's token still matches.
 *
 * Postgres away: the claim, records and results wait for it. An attempt that an outage or a stop of the worker cut short
 * is handed back uncounted. A delivery whose worker vanished runs with no other of this handler beside it: all that were
 * under way are suspected, and only the culprit may be interrupted again.
 *
 * @throws when the engine's signal is aborted before it was claimed, and when its result cannot be written: then its lease
 *   runs out.
 */
export async function runEffect(engine: EngineContext, pointer: EffectPointer): Promise<void> {
  const effect = engine.effects.get(pointer.subscriber);
  if (effect === undefined) return;
  const { handler, gate } = effect;
  // Claimed inside the gate: what is claimed and waits would be blamed, too, and its lease runs.
  const run = async (): Promise<void> => {
    const claimed = await claim(engine, handler, pointer);
    if (claimed !== null) await traceAttempt(claimed.delivery, (span) => runClaimed(engine, effect, claimed, span));
  };
  await (pointer.interrupted ? gate.alone(run) : gate.shared(run));
}

/** Null when there is nothing to run: it was run already, or changed, or is not due, or its handler is paused. */
async function claim(
  engine: EngineContext,
  handler: EffectHandler,
  { interrupted, ...delivery }: EffectPointer,
): Promise<ClaimedEffect | null> {
  const pause = createOutagePause(engine);
  const leaseMs = handler.timeoutMs + LEASE_SLACK_MS;
  const options = { token: randomUUID(), leaseMs, interrupted, lanes: laneRuleOf(handler) };
  for (;;) {
    engine.signal.throwIfAborted();
    try {
      return await engine.store.claimDelivery(delivery, options);
    } catch (error) {
      if (!(isUnavailable(error) || isConflict(error))) throw error;
      await pause(error);
    }
  }
}

async function runClaimed(engine: EngineContext, effect: Effect, claimed: ClaimedEffect, span: Span): Promise<void> {
  const { handler } = effect;
  const { delivery, event } = claimed;
  span.setAttributes(eventAttributes(event));
  const { attempt, onRecord } = delivery;
  const tried: Tried = { attempt, startedAt: new Date(), traceparent: toTraceparent(span), onRecord };
  const decoding = decodeDelivery(engine, handler, delivery, event, tried);
  if (!decoding.ok) return finish(engine, delivery, decoding.result);
  const outcome = await callHandler(engine, effect, claimed, decoding.decoded);
  if (outcome.ok === false) {
    markFailed(span, outcome.error);
    // Told to stop, or held up by an outage: what it threw then says nothing of the event.
    if (engine.signal.aborted || isUnavailable(outcome.error)) return handBack(engine, [delivery], outcome.error);
  }
  await finish(engine, delivery, deliveryResult(engine, handler, event, outcome, tried));
}

async function callHandler(
  engine: EngineContext,
  effect: Effect,
  claimed: ClaimedEffect,
  { event }: DecodedEvent,
): Promise<HandlerOutcome> {
  const { handler } = effect;
  const { attempt, generation, replay } = claimed.delivery;
  const { once, transaction, finished, close, outage } = createOnce(engine, claimed, effect);
  const attributes = { "penstock.handler": handler.name, "penstock.attempt": attempt };
  let log: HandlerLog | undefined;
  let thrown: { readonly error: unknown } | undefined;
  const handle = async (signal: AbortSignal): Promise<void> => {
    try {
      await handler.handle(event, {
        once,
        transaction: (key, fn) => transaction(key, signal, fn),
        signal,
        attempt,
        replay,
        get log() {
          const fields = { handler: handler.name, attempt, eventId: event.id, seq: event.seq };
          return (log ??= engine.log.child({ ...fields, ...unsampledTrace(claimed.delivery.traceparent) }));
        },
        idempotencyKey: idempotencyKey(handler.name, event, generation),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      thrown = { error };
    }
    // What it did not wait for belongs to the attempt all the same, also when something else has failed.
    await finished();
    if (thrown !== undefined) throw thrown.error;
  };
  try {
    await withSpan(`handle ${handler.name}`, { attributes }, () =>
      withDeadline(handler, engine.signal, () => false, handle),
    );
    return { ok: true };
  } catch (error) {
    await close();
    if (thrown !== undefined) return { ok: false, error: thrown.error };
    // Its time went by while a record waited for Postgres.
    return { ok: false, error: codeOf(error) === "HANDLER_TIMEOUT" ? (outage() ?? error) : error };
  }
}

async function finish(engine: EngineContext, delivery: ClaimedDelivery, result: DeliveryResult): Promise<void> {
  const written = await insist(engine, () => engine.store.finishDelivery(delivery, result));
  if (written) return tellFailures(engine, [result]);
  const { seq, subscriber, attempt } = delivery;
  const fields = { seq, handler: subscriber, attempt, state: result.state };
  engine.log.warn(fields, "delivery was not this worker's any more, what came of it was not written");
}
