import {
  contextOf,
  eventAttributes,
  markFailed,
  type Span,
  SpanKind,
  toContext,
  toSpanContext,
  toTraceparent,
  withSpan,
} from "@penstock/telemetry";
import { decodeEvent } from "./decode-event.ts";
import { deliveryResult, pendingDelivery, type Tried, wants } from "./delivery-result.ts";
import type { EngineContext } from "./engine-context.ts";
import type { ClaimedDelivery, DeliveryResult, StoredEvent } from "./engine-store.ts";
import { isConflict, isUnavailable } from "./errors.ts";
import { OPERATION } from "./event-traces.ts";
import { createOutagePause } from "./outage-pause.ts";
import { runHandlerOnce } from "./run-handler.ts";

/** How long a worker may hold a delivery. Longer than any `timeoutMs`, so that only a lost worker loses its lease. */
const LEASE_MS = 60_000;
/** A delivery whose worker vanished this often while running it is dead: it may be what kills them. */
export const MAX_INTERRUPTIONS = 3;

/** How long a delivery rests that this worker's version of the handler does not know, so that another can have it. */
const NOT_FOR_US_MS = 10_000;

const MAX_CONFLICTS = 3;

/** How long a delivery rests that an outage cut off: while the disk is full it can be claimed, again and again. */
const OUTAGE_REST_MS = 2_000;

/**
 * Runs up to `limit` deliveries that are due, side by side, and returns how many there were: retries, what other
 * workers left for a handler that they lack, and what demoted handlers did not get done in a batch.
 *
 * A delivery goes pending | retrying → running (claimed under a lease, committed) → succeeded | retrying | dead, the
 * latter in the transaction of the handler's own writes, and only while the lease's token still matches.
 */
export async function runDueDeliveries(engine: EngineContext, limit: number, handler?: string): Promise<number> {
  const subscribers = engine.transactional
    .map(({ name }) => name)
    .filter((name) => handler === undefined || name === handler);
  return engine.gate.shared(() => runClaimed(engine, { subscribers, limit, interrupted: false }));
}

/**
 * Runs one delivery that is due and whose worker vanished while it ran, and returns whether there was one. Alone: all
 * that was under way when a process died is suspected, and only the culprit may be so again.
 */
export async function runInterruptedDelivery(engine: EngineContext): Promise<boolean> {
  const subscribers = engine.transactional.map(({ name }) => name);
  // Asked first: to be alone, all other work has to stop.
  if (!(await engine.store.isInterruptedDue(subscribers))) return false;
  return engine.gate.alone(async () => (await runClaimed(engine, { subscribers, limit: 1, interrupted: true })) === 1);
}

/** Claims inside the gate: what is claimed and waits would be blamed, too, and its lease runs. */
async function runClaimed(
  engine: EngineContext,
  which: { subscribers: readonly string[]; limit: number; interrupted: boolean },
): Promise<number> {
  if (which.subscribers.length === 0 || engine.signal.aborted) return 0;
  const claimed = await engine.store.claimDeliveries({ ...which, leaseMs: LEASE_MS });
  // All of them, also when one cannot be recorded: its lease runs out, and the others must not be left running.
  const runs = await Promise.allSettled(claimed.map((delivery) => traceDelivery(engine, delivery)));
  for (const run of runs) {
    if (run.status === "rejected") engine.log.warn({ err: run.reason as unknown }, "delivery could not be recorded");
  }
  return claimed.length;
}

/** An attempt stands in its event's trace, beside the one before and not inside it: attempts can be many. */
function traceDelivery(engine: EngineContext, delivery: ClaimedDelivery): Promise<void> {
  const { seq, subscriber, attempt, traceparent, lastAttempt } = delivery;
  const attributes = {
    "penstock.seq": seq,
    "penstock.handler": subscriber,
    "penstock.attempt": attempt,
    ...OPERATION,
  };
  const links = [toSpanContext(lastAttempt)];
  return withSpan(
    "process event",
    { kind: SpanKind.CONSUMER, parent: toContext(traceparent), links, attributes },
    (span) => runDelivery(engine, delivery, span),
  );
}

async function runDelivery(engine: EngineContext, delivery: ClaimedDelivery, span: Span): Promise<void> {
  const tried: Tried = { attempt: delivery.attempt, startedAt: new Date(), traceparent: toTraceparent(span) };
  const pause = createOutagePause(engine);
  let failure: { readonly error: unknown } | undefined;
  for (let conflicts = 0; ;) {
    try {
      if (failure === undefined) await runOnce(engine, delivery, tried, span);
      else {
        markFailed(span, failure.error);
        await recordFailure(engine, delivery, failure.error, tried);
      }
      return;
    } catch (error) {
      if (engine.signal.aborted || (isUnavailable(error) && failure === undefined)) {
        return handBack(engine, delivery, error);
      }
      if (isUnavailable(error)) await pause(error).catch(() => undefined);
      else if (isConflict(error) && ++conflicts <= MAX_CONFLICTS) continue;
      else if (failure === undefined) failure = { error };
      else throw error;
    }
  }
}

/** Gives the delivery back with no attempt counted: the worker stops, or Postgres cannot go on. */
async function handBack(engine: EngineContext, delivery: ClaimedDelivery, error: unknown): Promise<void> {
  const pause = createOutagePause(engine);
  for (let cause = error; ;) {
    if (!engine.signal.aborted) await pause(cause).catch(() => undefined);
    const restMs = engine.signal.aborted ? 0 : OUTAGE_REST_MS;
    try {
      return await engine.store.releaseDeliveries([delivery], { restMs });
    } catch (refusal) {
      cause = refusal;
      if (!engine.signal.aborted && (isUnavailable(refusal) || isConflict(refusal))) continue;
      engine.log.warn({ ...delivery, err: refusal }, "delivery could not be handed back, its lease will run out");
      return;
    }
  }
}

async function runOnce(engine: EngineContext, delivery: ClaimedDelivery, tried: Tried, span: Span): Promise<void> {
  const handler = engine.transactional.find(({ name }) => name === delivery.subscriber);
  if (handler === undefined) return;
  await engine.store.transaction(async (tx) => {
    const stored = await tx.lockDelivery(delivery);
    if (stored === null) return;
    span.setAttributes(eventAttributes(stored));
    const decoding = decodeEvent(stored, engine.findSource);
    if (!decoding.ok) {
      // Understood when it was delivered, not any more: a schema became stricter. Kept, and said.
      const error = new Error(`the event is not understood any more: ${decoding.quarantine.reason}`);
      await write(deliveryResult(engine, handler, stored, { ok: false, error }, tried));
      return;
    }
    if (!wants(handler, decoding.decoded.event)) {
      // Left by a worker with a newer version of the handler: for such a one it waits.
      const waiting = { ...pendingDelivery(stored, handler.name), retryInMs: NOT_FOR_US_MS };
      await write({ ...waiting, attempts: delivery.attempt - 1 });
      return;
    }
    const log = engine.log.child({ handler: handler.name, attempt: delivery.attempt });
    const { signal } = engine;
    const traces = { contextOf: () => contextOf(span) };
    const { attempt } = delivery;
    const outcome = await runHandlerOnce({ tx, handler, event: decoding.decoded, traces, attempt, signal, log });
    if (!outcome.ok) markFailed(span, outcome.error);
    await write(deliveryResult(engine, handler, stored, outcome, tried));

    async function write(result: DeliveryResult): Promise<void> {
      // The row is locked since lockDelivery saw the token, so nobody can have taken it in between.
      if (!(await tx.finishDelivery(delivery, result))) throw new Error("delivery was taken by another worker");
    }
  });
}

/** Timed out, or COMMIT was refused: the transaction is gone, so what became of it is written by another one. */
async function recordFailure(
  engine: EngineContext,
  delivery: ClaimedDelivery,
  error: unknown,
  tried: Tried,
): Promise<void> {
  const handler = engine.transactional.find(({ name }) => name === delivery.subscriber);
  if (handler === undefined) return;
  await engine.store.transaction(async (tx) => {
    const stored: StoredEvent | null = await tx.lockDelivery(delivery);
    if (stored === null) return;
    const outcome = { ok: false, error } as const;
    await tx.finishDelivery(delivery, deliveryResult(engine, handler, stored, outcome, tried));
  });
}
