import type { TransactionalHandler } from "@penstock/handler-sdk";
import {
  contextOf,
  eventAttributes,
  markFailed,
  newTrace,
  type Span,
  toSpanContext,
  toTraceparent,
  withSpan,
} from "@penstock/telemetry";
import { claim } from "../delivery/claim.ts";
import { decodeDelivery } from "../delivery/decode-delivery.ts";
import type { DecodedEvent } from "../event/decode-event.ts";
import { deliveryResult, tellFailures, type Tried } from "../delivery/delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type {
  ClaimedDelivery,
  DeliveryResult,
  EngineTransaction,
  FinishedDelivery,
  LockedDelivery,
} from "../contract/engine-store.ts";
import { codeOf, isConflict, isUnavailable } from "../outage/errors.ts";
import { type EventTraces, traceEvents } from "../event/event-traces.ts";
import { coalesce } from "../delivery/coalesce.ts";
import { handBack, release } from "../delivery/hand-back.ts";
import { laneRuleOf } from "../handler/lane.ts";
import { createOutagePause } from "../outage/outage-pause.ts";
import { runHandler, runHandlerOnce } from "../handler/run-handler.ts";
import { bySubject } from "../event/subject-order.ts";
import { traceAttempt } from "../delivery/trace-attempt.ts";

/** How much longer than the handler's time-out the lease of a delivery is, for the work before and after the handler. */
const LEASE_SLACK_MS = 10_000;

/**
 * The lease of a delivery of a transactional handler. While the handler runs, the row is locked, and nobody takes a locked
 * delivery whose lease ran out. So the lease need not cover waits for locks, retries after a conflict, or a slow machine.
 */
const leaseOf = ({ timeoutMs }: Pick<TransactionalHandler, "timeoutMs">): number => timeoutMs + LEASE_SLACK_MS;

/** A delivery whose workers vanished this often is dead: it may be what kills them. */
export const MAX_INTERRUPTIONS = 3;

const MAX_CONFLICTS = 3;

/** How long a handler may go on with deliveries that share a transaction; the rest are handed back. */
const TOGETHER_MS = 2_000;
/** A handler that takes longer per delivery is as fast, or faster, with several transactions side by side. */
const QUICK_MS = 50;

/** How many deliveries of all handlers run side by side where each has a transaction, and so a connection, of its own. */
const SIDE_BY_SIDE = 10;

/**
 * Runs up to `limit` due deliveries of a handler, and resolves to how many: retries, deliveries that workers without the handler
 * have recorded, and deliveries of a demoted handler.
 *
 * Deliveries of the same attempt share a transaction, so that a backlog is worked off as fast as batches. They run apart, each in
 * a transaction of its own and a few side by side, where `Demotions` says so, or where the handler fails at everything.
 *
 * A delivery goes pending | retrying → running (claimed under a lease, committed) → succeeded | retrying | dead. The end commits
 * together with the handler's writes, and only while the lease's token matches.
 */
export async function runDueDeliveries(engine: EngineContext, limit: number, name: string): Promise<number> {
  const handler = engine.transactional.find((one) => one.name === name);
  if (handler === undefined) return 0;
  return engine.gate.shared(async () => {
    if (engine.signal.aborted) return 0;
    const apart = engine.demotions.isApart(name) || engine.failing.has(name);
    const share = Math.max(1, Math.floor(SIDE_BY_SIDE / engine.transactional.length));
    const most = apart ? Math.min(limit, share) : limit;
    // Claimed inside the gate: a claimed delivery that waits at the gate would be suspected, too, and its lease runs. Alike,
    // since one call of a handler has one attempt and one replay.
    const which = { subscriber: name, limit: most, leaseMs: leaseOf(handler), interrupted: false, alike: !apart };
    const claimed = await claim(engine, name, (token) => engine.store.claimDeliveries({ ...which, token }));
    if (apart || claimed.length === 1) await runAll(engine, claimed);
    else if (claimed.length > 1) await runTogether(engine, handler, claimed);
    if (apart) engine.demotions.ranApart(name, claimed.length);
    return claimed.length;
  });
}

/**
 * Runs one due head of a lane of a handler, and resolves to whether one was due. The next delivery of the lane is due once the
 * head has succeeded or is dead.
 */
export async function runLaneHead(engine: EngineContext, handler: string): Promise<boolean> {
  return engine.gate.shared(async () => {
    const head = engine.signal.aborted ? null : ((await engine.claimHead.get(handler)?.()) ?? null);
    if (head !== null) await runAll(engine, [head]);
    return head !== null;
  });
}

/**
 * Runs one due delivery whose worker vanished, and resolves to whether one was due. Exclusively: all work in flight in a process
 * that died is suspected, and only the culprit may be interrupted again.
 */
export async function runInterruptedDelivery(engine: EngineContext): Promise<boolean> {
  const subscribers = engine.transactional.map(({ name }) => name);
  // Asked first: exclusive work waits for all work in flight.
  if (!(await engine.store.isInterruptedDue(subscribers))) return false;
  return engine.gate.exclusive(async () => {
    for (const handler of engine.transactional) {
      if (engine.signal.aborted) return false;
      const one = { subscriber: handler.name, limit: 1, leaseMs: leaseOf(handler), interrupted: true };
      const claimed = await claim(engine, handler.name, async (token) => {
        const delivery = await engine.store.claimDeliveries({ ...one, token });
        return delivery.length > 0 ? delivery : engine.store.claimLanes({ ...laneRuleOf(handler), ...one, token });
      });
      await runAll(engine, claimed);
      if (claimed.length > 0) return true;
    }
    return false;
  });
}

/** Makes a claim of one due head of a lane, which resolves to null when none is due. Claims that are asked for at once are one statement. */
export function createHeadClaims(
  engine: Pick<EngineContext, "store" | "signal" | "log" | "logOutage">,
  handler: TransactionalHandler,
): () => Promise<ClaimedDelivery | null> {
  const heads = { ...laneRuleOf(handler), subscriber: handler.name, leaseMs: leaseOf(handler), interrupted: false };
  return coalesce(async (asked: readonly undefined[]) => {
    const claimed = await claim(engine, handler.name, (token) =>
      engine.store.claimLanes({ ...heads, limit: asked.length, token }),
    );
    return asked.map((_, at) => claimed[at] ?? null);
  }) as () => Promise<ClaimedDelivery | null>;
}

async function runAll(engine: EngineContext, claimed: readonly ClaimedDelivery[]): Promise<void> {
  // All are awaited, also when one cannot be recorded: the others must not be left running.
  const runs = await Promise.allSettled(
    claimed.map((delivery) => traceAttempt(delivery, (span) => runDelivery(engine, delivery, span))),
  );
  for (const run of runs) {
    if (run.status === "rejected") engine.log.warn({ err: run.reason as unknown }, "delivery could not be recorded");
  }
}

/**
 * Runs deliveries of a handler in one transaction. Where the transaction is lost, or the handler turns out to be slow, the
 * deliveries are handed back and run apart for a while.
 */
async function runTogether(
  engine: EngineContext,
  handler: TransactionalHandler,
  deliveries: readonly ClaimedDelivery[],
): Promise<void> {
  const { demotions, failing, log } = engine;
  const attributes = { "penstock.handler": handler.name, "messaging.batch.message_count": deliveries.length };
  const links = [toSpanContext(deliveries[0]?.traceparent ?? null)];
  for (let conflicts = 0; ;) {
    let traces: EventTraces | undefined;
    try {
      const done = await withSpan("process deliveries", { attributes, parent: newTrace, links }, () =>
        engine.store.transaction(async (tx) => {
          const held = await tx.lockDeliveries(deliveries, engine.batchBytes);
          const locked = held.toSorted((a, b) => bySubject(a.event, b.event));
          const earlier = new Map(locked.map(({ delivery, event }) => [event, delivery.lastAttempt]));
          traces = traceEvents([...earlier.keys()], earlier);
          return runLocked(engine, handler, { tx, locked, traces });
        }),
      );
      traces?.end();
      tellFailures(
        engine,
        done.finished.map(({ result }) => result),
      );
      for (const { ok } of done.outcomes) if (ok !== "deferred") failing.note(handler.name, ok);
      const handled = done.outcomes.filter(({ ok }) => ok !== "deferred").length;
      if (done.tookMs <= handled * QUICK_MS) demotions.didWell(handler.name);
      else demotions.separate(handler.name, deliveries.length);
      // Deliveries that did not fit, or that another worker has by now.
      const finished = new Set(done.finished.map(({ delivery }) => delivery));
      return await release(
        engine,
        deliveries.filter((delivery) => !finished.has(delivery)),
      );
    } catch (error) {
      traces?.end(error);
      if (engine.signal.aborted || isUnavailable(error)) return handBack(engine, deliveries, error);
      if (isConflict(error) && ++conflicts <= MAX_CONFLICTS) continue;
      demotions.separate(handler.name, deliveries.length);
      const fields = { handler: handler.name, deliveries: deliveries.length, code: codeOf(error), err: error };
      log.warn(fields, "deliveries failed together, each is run by itself");
      return release(engine, deliveries);
    }
  }
}

interface Together {
  readonly tx: EngineTransaction;
  readonly locked: readonly LockedDelivery[];
  readonly traces: EventTraces;
}

/** Runs the handler for locked deliveries and writes their results. */
async function runLocked(engine: EngineContext, handler: TransactionalHandler, { tx, locked, traces }: Together) {
  const startedAt = new Date();
  const finished: FinishedDelivery[] = [];
  const decoded: { delivery: ClaimedDelivery; event: DecodedEvent; tried: Tried }[] = [];
  for (const { delivery, event } of locked) {
    const { attempt, onRecord } = delivery;
    const tried: Tried = { attempt, startedAt, traceparent: traces.traceparentOf(event), onRecord };
    const decoding = decodeDelivery(engine, handler, delivery, event, tried);
    if (decoding.ok) decoded.push({ delivery, event: decoding.decoded, tried });
    else finished.push({ delivery, result: decoding.result });
  }
  const [first] = decoded;
  const { outcomes, tookMs } =
    first === undefined
      ? { outcomes: [], tookMs: 0 }
      : await runHandler({
          tx,
          handler,
          events: decoded.map(({ event }) => event),
          traces,
          attempt: first.delivery.attempt,
          generation: first.delivery.generation,
          replay: first.delivery.replay,
          budgetMs: TOGETHER_MS,
          signal: engine.signal,
          log: engine.log.child({ handler: handler.name, attempt: first.delivery.attempt }),
        });
  for (const [at, { delivery, event, tried }] of decoded.entries()) {
    const outcome = outcomes[at] ?? { ok: "deferred" };
    if (outcome.ok === false) traces.failed(event.stored, outcome.error);
    finished.push({ delivery, result: deliveryResult(engine, handler, event.stored, outcome, tried) });
  }
  const written = await tx.finishDeliveries(finished);
  // The rows are locked since lockDeliveries compared the tokens: no other worker can have taken one.
  if (written.length !== finished.length) throw new Error("deliveries were taken by another worker");
  return { finished, outcomes, tookMs };
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
        return handBack(engine, [delivery], error);
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
  let succeeded: boolean | undefined;
  const result = await engine.store.transaction(async (tx) => {
    const [locked] = await tx.lockDeliveries([delivery], Infinity);
    if (locked === undefined) return null;
    const stored = locked.event;
    span.setAttributes(eventAttributes(stored));
    const decoding = decodeDelivery(engine, handler, delivery, stored, tried);
    if (!decoding.ok) return write(decoding.result);
    const log = engine.log.child({ handler: handler.name, attempt: delivery.attempt });
    const { signal } = engine;
    const traces = { contextOf: () => contextOf(span) };
    const { attempt, generation, replay } = delivery;
    const run = { tx, handler, event: decoding.decoded, traces, attempt, generation, replay, signal, log };
    const outcome = await runHandlerOnce(run);
    succeeded = outcome.ok === true;
    if (outcome.ok === false) markFailed(span, outcome.error);
    return write(deliveryResult(engine, handler, stored, outcome, tried));

    async function write(of: DeliveryResult): Promise<DeliveryResult> {
      // The row is locked since lockDeliveries compared the token: no other worker can have taken it.
      const written = await tx.finishDeliveries([{ delivery, result: of }]);
      if (written.length === 0) throw new Error("delivery was taken by another worker");
      return of;
    }
  });
  if (succeeded !== undefined) engine.failing.note(handler.name, succeeded);
  if (result !== null) tellFailures(engine, [result]);
}

/** Writes a failure that took the handler's transaction with it (a time-out, a refused COMMIT), in another transaction. */
async function recordFailure(
  engine: EngineContext,
  delivery: ClaimedDelivery,
  error: unknown,
  tried: Tried,
): Promise<void> {
  const handler = engine.transactional.find(({ name }) => name === delivery.subscriber);
  if (handler === undefined) return;
  const result = await engine.store.transaction(async (tx) => {
    const [locked] = await tx.lockDeliveries([delivery], Infinity);
    if (locked === undefined) return null;
    const failed = deliveryResult(engine, handler, locked.event, { ok: false, error }, tried);
    const written = await tx.finishDeliveries([{ delivery, result: failed }]);
    return written.length > 0 ? failed : null;
  });
  if (result !== null) tellFailures(engine, [result]);
}
