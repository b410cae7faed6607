import { contextOf, eventAttributes, markFailed, type Span, toTraceparent } from "@penstock/telemetry";
import { decodeDelivery } from "./decode-delivery.ts";
import { deliveryResult, type Tried } from "./delivery-result.ts";
import type { EngineContext } from "./engine-context.ts";
import type { ClaimedDelivery, DeliveryResult, StoredEvent } from "./engine-store.ts";
import { isConflict, isUnavailable } from "./errors.ts";
import { handBack } from "./hand-back.ts";
import { laneRuleOf } from "./lane.ts";
import { createOutagePause } from "./outage-pause.ts";
import { runHandlerOnce } from "./run-handler.ts";
import { traceAttempt } from "./trace-attempt.ts";

/** How long a worker may hold a delivery. Longer than any `timeoutMs`, so that only a lost worker loses its lease. */
export const LEASE_MS = 60_000;
/** A delivery whose worker vanished this often while running it is dead: it may be what kills them. */
export const MAX_INTERRUPTIONS = 3;

const MAX_CONFLICTS = 3;

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
 * Runs the head of a lane of a handler that is due, and returns whether there was one. When it has succeeded or is dead,
 * the next of its lane is due.
 */
export async function runLaneHead(engine: EngineContext, handler: string): Promise<boolean> {
  return engine.gate.shared(async () => {
    const head = engine.signal.aborted ? null : ((await engine.claimHead.get(handler)?.()) ?? null);
    if (head !== null) await runAll(engine, [head]);
    return head !== null;
  });
}

/**
 * Runs one delivery that is due and whose worker vanished while it ran, and returns whether there was one. Alone: all
 * that was under way when a process died is suspected, and only the culprit may be so again.
 */
export async function runInterruptedDelivery(engine: EngineContext): Promise<boolean> {
  const subscribers = engine.transactional.map(({ name }) => name);
  // Asked first: to be alone, all other work has to stop.
  if (!(await engine.store.isInterruptedDue(subscribers))) return false;
  const one = { limit: 1, interrupted: true };
  return engine.gate.alone(async () => {
    if ((await runClaimed(engine, { subscribers, ...one })) === 1) return true;
    for (const handler of engine.transactional) {
      if (engine.signal.aborted) return false;
      const heads = await engine.store.claimLanes({
        ...laneRuleOf(handler),
        subscriber: handler.name,
        leaseMs: LEASE_MS,
        ...one,
      });
      await runAll(engine, heads);
      if (heads.length > 0) return true;
    }
    return false;
  });
}

/** Claims inside the gate: what is claimed and waits would be blamed, too, and its lease runs. */
async function runClaimed(
  engine: EngineContext,
  which: { subscribers: readonly string[]; limit: number; interrupted: boolean },
): Promise<number> {
  if (which.subscribers.length === 0 || engine.signal.aborted) return 0;
  const claimed = await engine.store.claimDeliveries({ ...which, leaseMs: LEASE_MS });
  await runAll(engine, claimed);
  return claimed.length;
}

async function runAll(engine: EngineContext, claimed: readonly ClaimedDelivery[]): Promise<void> {
  // All of them, also when one cannot be recorded: its lease runs out, and the others must not be left running.
  const runs = await Promise.allSettled(
    claimed.map((delivery) => traceAttempt(delivery, (span) => runDelivery(engine, delivery, span))),
  );
  for (const run of runs) {
    if (run.status === "rejected") engine.log.warn({ err: run.reason as unknown }, "delivery could not be recorded");
  }
}

async function runDelivery(engine: EngineContext, delivery: ClaimedDelivery, span: Span): Promise<void> {
  const { attempt, onRecord } = delivery;
  const tried: Tried = { attempt, startedAt: new Date(), traceparent: toTraceparent(span), onRecord };
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
      else if (failure === undefined) {
        failure = { error };
        engine.failing.note(delivery.subscriber, false);
      } else throw error;
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
    const decoding = decodeDelivery(engine, handler, delivery, stored, tried);
    if (!decoding.ok) return write(decoding.result);
    const log = engine.log.child({ handler: handler.name, attempt: delivery.attempt });
    const { signal } = engine;
    const traces = { contextOf: () => contextOf(span) };
    const { attempt, generation, replay } = delivery;
    const run = { tx, handler, event: decoding.decoded, traces, attempt, generation, replay, signal, log };
    const outcome = await runHandlerOnce(run);
    engine.failing.note(handler.name, outcome.ok === true);
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
