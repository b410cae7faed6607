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
import { settle } from "../delivery/settle.ts";
import { traceAttempt } from "../delivery/trace-attempt.ts";
import { withDeadline } from "../handler/with-deadline.ts";

/** How much longer than the handler's time-out a worker may hold a delivery, so that only a lost worker loses it. */
const LEASE_SLACK_MS = 30_000;

/** Deliveries that were begun. */
export interface StartedEffects {
  /** One for each, resolved when its result is written or it is handed back. None rejects. */
  readonly runs: readonly Promise<void>[];
  /** How long until the handler's rate lets more be started, in milliseconds; 0 where it kept none back. */
  readonly waitMs: number;
}

/**
 * Claims up to `limit` deliveries to an effect handler that are due, and begins them side by side: each calls the handler
 * outside of any transaction, and writes what became of it where the lease's token still matches.
 *
 * Postgres away: the claim, records and results wait for it. An attempt that an outage or a stop of the worker cut short
 * is handed back uncounted.
 *
 * @throws when the engine's signal is aborted before they were claimed.
 */
export async function startEffects(engine: EngineContext, name: string, limit: number): Promise<StartedEffects> {
  const effect = engine.effects.get(name);
  if (effect === undefined) return { runs: [], waitMs: 0 };
  const started = Promise.withResolvers<StartedEffects>();
  // Claimed inside the gate: what is claimed and waits would be blamed, too, and its lease runs.
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
 * Runs a delivery to an effect handler whose worker vanished, and returns whether there was one. No other of this handler
 * runs beside it: all that were under way are suspected, and only the culprit may be interrupted again.
 */
export async function runInterruptedEffect(engine: EngineContext, name: string): Promise<boolean> {
  const effect = engine.effects.get(name);
  // Asked first: to be alone, all others have to end.
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
  // Where there are no lanes any more, what was recorded in them before is still to be run.
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
    // Told to stop, or held up by an outage: what it threw then says nothing of the event.
    if (engine.signal.aborted || isUnavailable(outcome.error)) return handBack(engine, [delivery], outcome.error);
  }
  await effect.finish({ delivery, result: deliveryResult(engine, handler, event, outcome, tried) });
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

/** Writes results of an effect handler; those that come while a statement is under way are one statement. */
export function createEffectFinish(
  engine: Pick<EngineContext, "store" | "signal" | "log" | "logOutage">,
): (finished: FinishedDelivery) => Promise<void> {
  return coalesce(async (finished: readonly FinishedDelivery[]) => {
    await settle(engine, finished);
    return finished.map(() => undefined);
  });
}
