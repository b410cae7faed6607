import type { HandlerLog } from "@penstock/handler-sdk";
import { eventAttributes, markFailed, type Span, toTraceparent, unsampledTrace, withSpan } from "@penstock/telemetry";
import { claim } from "../delivery/claim.ts";
import { createOnce } from "../handler/create-once.ts";
import { decodeDelivery } from "../delivery/decode-delivery.ts";
import type { DecodedEvent } from "../event/decode-event.ts";
import { deliveryResult, type Tried } from "../delivery/delivery-result.ts";
import type { Effect, EngineContext } from "../contract/engine-context.ts";
import type { Claim, ClaimedEffect, FinishedDelivery, LaneRule } from "../contract/engine-store.ts";
import { codeOf, isUnavailable } from "../outage/errors.ts";
import { coalesce } from "../delivery/coalesce.ts";
import { handBack } from "../delivery/hand-back.ts";
import { idempotencyKey } from "../event/idempotency-key.ts";
import { laneRuleOf } from "../handler/lane.ts";
import type { HandlerOutcome } from "../handler/run-handler.ts";
import { sensitiveLog } from "../event/sensitive-log.ts";
import { settle } from "../delivery/settle.ts";
import { traceAttempt } from "../delivery/trace-attempt.ts";
import { withDeadline } from "../handler/with-deadline.ts";

/** How much longer than the handler's time-out the lease of a delivery is, so that only a vanished worker loses it. */
const LEASE_SLACK_MS = 30_000;

/** Deliveries that have started. */
export interface StartedEffects {
  /** One promise per delivery, which resolves once the result is written or the delivery is handed back. None rejects. */
  readonly runs: readonly Promise<void>[];
  /** How long until the rate limit lets more deliveries start, in milliseconds; 0 where the limit kept none back. */
  readonly waitMs: number;
}

/**
 * Claims up to `limit` due deliveries to an effect handler, and starts them side by side. Each calls the handler outside of any
 * transaction, and writes its result where the lease's token still matches.
 *
 * Postgres away: the claim, records of effects and results wait for it. A delivery that an outage or a stop of the worker cut
 * short is handed back with no attempt counted.
 *
 * @throws when the engine's signal is aborted before the claim has succeeded.
 */
export async function startEffects(engine: EngineContext, name: string, limit: number): Promise<StartedEffects> {
  const effect = engine.effects.get(name);
  if (effect === undefined) return { runs: [], waitMs: 0 };
  const started = Promise.withResolvers<StartedEffects>();
  // Claimed inside the gate: a claimed delivery that waits at the gate would be suspected, too, and its lease runs.
  void effect.gate.shared(async () => {
    try {
      const { claimed, waitMs } = await claimEffects(engine, effect, { limit, interrupted: false });
      const runs = claimed.map((one) => run(engine, effect, one));
      started.resolve({ runs, waitMs });
      await Promise.all(runs);
    } catch (error) {
      started.reject(error);
    }
  });
  return started.promise;
}

/**
 * Runs one delivery to an effect handler whose worker vanished, and resolves to whether one was due. No other delivery of this
 * handler runs beside it: all deliveries in flight are suspected, and only the culprit may be interrupted again.
 */
export async function runInterruptedEffect(engine: EngineContext, name: string): Promise<boolean> {
  const effect = engine.effects.get(name);
  // Asked first: exclusive work waits for all deliveries in flight.
  if (effect === undefined || !(await engine.store.isInterruptedDue([name]))) return false;
  return effect.gate.exclusive(async () => {
    const { claimed } = await claimEffects(engine, effect, { limit: 1, interrupted: true });
    await Promise.all(claimed.map((one) => run(engine, effect, one)));
    return claimed.length > 0;
  });
}

async function claimEffects(engine: EngineContext, { handler }: Effect, which: Pick<Claim, "limit" | "interrupted">) {
  const { name: subscriber, timeoutMs, rateLimit } = handler;
  const take = (lanes: LaneRule | null) =>
    claim(engine, subscriber, (token) =>
      engine.store.claimForOutside({
        ...which,
        subscriber,
        token,
        leaseMs: timeoutMs + LEASE_SLACK_MS,
        lanes,
        rateLimit,
      }),
    );
  const rule = laneRuleOf(handler);
  if (handler.lanes !== null) return take(rule);
  const started = await take(null);
  // A handler without lanes may still have deliveries that were recorded in lanes before.
  return started.claimed.length > 0 || started.waitMs > 0 ? started : take(rule);
}

async function run(engine: EngineContext, effect: Effect, claimed: ClaimedEffect): Promise<void> {
  try {
    await traceAttempt(claimed.delivery, (span) => runClaimed(engine, effect, claimed, span));
  } catch (error) {
    const { seq, subscriber } = claimed.delivery;
    engine.log.error(
      { seq, handler: subscriber, err: error },
      "delivery could not be recorded, its lease will run out",
    );
  }
}

async function runClaimed(engine: EngineContext, effect: Effect, claimed: ClaimedEffect, span: Span): Promise<void> {
  const { handler } = effect;
  const { delivery, event } = claimed;
  span.setAttributes(eventAttributes(event));
  const { attempt, onRecord } = delivery;
  const tried: Tried = { attempt, startedAt: new Date(), traceparent: toTraceparent(span), onRecord };
  const decoding = decodeDelivery(engine, handler, delivery, event, tried);
  if (!decoding.ok) return effect.finish({ delivery, result: decoding.result });
  const outcome = await callHandler(engine, effect, claimed, decoding.decoded);
  if (outcome.ok === false) {
    markFailed(span, outcome.error);
    // In a stop or an outage, an error says nothing about the event.
    if (engine.signal.aborted || isUnavailable(outcome.error)) return handBack(engine, [delivery], outcome.error);
  }
  await effect.finish({ delivery, result: deliveryResult(engine, handler, event, outcome, tried) });
}

async function callHandler(
  engine: EngineContext,
  effect: Effect,
  claimed: ClaimedEffect,
  decoded: DecodedEvent,
): Promise<HandlerOutcome> {
  const { handler } = effect;
  const { event } = decoded;
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
          const trace = unsampledTrace(claimed.delivery.traceparent);
          return (log ??= sensitiveLog(engine.log.child({ ...fields, ...trace }), [decoded]));
        },
        idempotencyKey: idempotencyKey(handler.name, event, generation),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      thrown = { error };
    }
    // Effects that the handler did not await belong to the attempt as well, also when something else has failed.
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
    // The time went by while the record of an effect waited for Postgres.
    return { ok: false, error: codeOf(error) === "HANDLER_TIMEOUT" ? (outage() ?? error) : error };
  }
}

/** Writes results of an effect handler. Results that come while a statement is in flight share the next one. */
export function createEffectFinish(
  engine: Pick<EngineContext, "store" | "signal" | "log" | "logOutage">,
): (finished: FinishedDelivery) => Promise<void> {
  return coalesce(async (finished: readonly FinishedDelivery[]) => {
    await settle(engine, finished);
    return finished.map(() => undefined);
  });
}
