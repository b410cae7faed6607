import { type DecodedEvent, decodeEvent } from "./decode-event.ts";
import {
  addReports,
  type BatchReport,
  deliveriesOfTheirOwn,
  deliveryResult,
  pendingDelivery,
  report,
  tellFailures,
  wants,
} from "./delivery-result.ts";
import type { EngineContext } from "./engine-context.ts";
import type {
  ClaimedBatch,
  DeliveryResult,
  EngineTransaction,
  QuarantineRecord,
  Registered,
  StoredEvent,
} from "./engine-store.ts";
import { codeOf, HandlerTimeoutError, isConflict, isUnavailable } from "./errors.ts";
import { recordForEndpoints } from "./endpoint-subscription.ts";
import { type EventTraces, traceEvents } from "./event-traces.ts";
import { createOutagePause } from "./outage-pause.ts";
import { processAlone } from "./process-alone.ts";
import { runHandler } from "./run-handler.ts";

/** A pointer to a batch, as it came from the queue. */
export interface BatchPointer {
  readonly batchId: string;
  /** True when somebody began this batch before and did not finish: its process may have died of one of its events. */
  readonly startedBefore: boolean;
}

const MAX_CONFLICTS = 3;

/**
 * Processes a batch: one transaction claims its events and more of the oldest, runs every transactional handler behind
 * a savepoint of its own, writes a delivery per event and handler, and drops the pending rows.
 *
 * Four things make it begin again: Postgres was away or out of disk (once it can go on; nothing is consumed), a handler took too long
 * (without that handler, whose events become deliveries of their own), another transaction was in the way (as it was),
 * and anything else that undid the whole transaction (one transaction per event and handler: it finds the culprit).
 *
 * @throws when the engine's signal is aborted meanwhile: what was not committed is still pending.
 */
export async function processBatch(engine: EngineContext, pointer: BatchPointer): Promise<BatchReport> {
  const { store, log, demotions } = engine;
  if (pointer.startedBefore) return processAlone(engine, () => store.pendingOf(pointer.batchId));
  const pause = createOutagePause(engine);
  // For as long as this batch takes, however soon a demotion ends: of several handlers that hang, the first would have
  // its turn again before the last has timed out, and the batch would never end.
  const timedOut = new Set<string>();
  for (let conflicts = 0; ;) {
    let claimed: ClaimedBatch = { events: [], more: false, startedAlone: [] };
    let traces: EventTraces | undefined;
    try {
      const processed = await engine.gate.shared(() => {
        engine.signal.throwIfAborted();
        return store.transaction(async (tx) => {
          const limits = { limit: engine.batchEvents, maxBytes: engine.batchBytes };
          // In one round trip, and read after the claim: a handler that was registered before an event was claimed must not
          // be forgotten.
          const claiming = tx.claimBatch(pointer.batchId, limits);
          const [batch, registered] = await Promise.all([claiming, tx.registered()]);
          claimed = batch;
          traces = traceEvents(claimed.events);
          return processClaimed(engine, { tx, claimed: claimed.events, registered, traces, timedOut });
        });
      });
      traces?.end();
      const done = { ...settle(engine, processed), more: claimed.more };
      const { startedAlone } = claimed;
      if (startedAlone.length === 0) return done;
      return addReports(done, await processAlone(engine, () => Promise.resolve(startedAlone)));
    } catch (error) {
      traces?.end(error);
      engine.signal.throwIfAborted();
      if (isUnavailable(error)) {
        await pause(error);
        continue;
      }
      if (error instanceof HandlerTimeoutError) {
        // Its culprit is among these: together they would only time out once more.
        demotions.separate(error.handler, claimed.events.length);
        timedOut.add(error.handler);
        log.warn({ handler: error.handler }, "handler took too long, its events become deliveries of their own");
        continue;
      }
      if (isConflict(error) && ++conflicts <= MAX_CONFLICTS) continue;
      log.warn(
        { batchId: pointer.batchId, code: codeOf(error), err: error },
        "batch failed, running it event by event",
      );
      const events = [...claimed.events, ...claimed.startedAlone];
      return processAlone(engine, () => Promise.resolve(events));
    }
  }
}

interface Claimed {
  readonly tx: EngineTransaction;
  readonly claimed: readonly StoredEvent[];
  readonly registered: Registered;
  readonly traces: EventTraces;
  readonly timedOut: ReadonlySet<string>;
}

/** What came of a batch's events, until it is committed. */
interface Processed {
  readonly report: BatchReport;
  readonly results: readonly DeliveryResult[];
  readonly tries: readonly { readonly handler: string; readonly succeeded: boolean }[];
  /** Handlers that used up their budget. */
  readonly slow: readonly string[];
}

async function processClaimed(
  engine: EngineContext,
  { tx, claimed, registered, traces, timedOut }: Claimed,
): Promise<Processed> {
  const tries: { handler: string; succeeded: boolean }[] = [];
  const slow: string[] = [];
  if (claimed.length === 0) return { report: report(0, 0, []), results: [], tries, slow };
  const decoded: DecodedEvent[] = [];
  const quarantine: QuarantineRecord[] = [];
  for (const stored of claimed) {
    const decoding = decodeEvent(stored, engine.findSource);
    if (decoding.ok) decoded.push(decoding.decoded);
    else {
      quarantine.push(decoding.quarantine);
      traces.quarantined(stored, decoding.quarantine.reason);
    }
  }
  const results = deliveriesOfTheirOwn(engine, registered.handlers, decoded, traces);
  const paused = new Set(registered.handlers.filter((handler) => handler.paused).map(({ name }) => name));
  for (const handler of engine.batched) {
    if (paused.has(handler.name)) continue;
    const wanting = decoded.filter(({ event }) => wants(handler, event));
    // Those that were made for a replay run as deliveries of their own: handleBatch could not tell them from the others.
    const wanted = wanting.filter(({ stored }) => stored.replay === null);
    for (const { stored } of wanting) if (stored.replay !== null) results.push(pendingDelivery(stored, handler.name));
    if (wanted.length === 0) continue;
    if (timedOut.has(handler.name) || engine.demotions.has(handler.name) || engine.failing.has(handler.name)) {
      results.push(...wanted.map(({ stored }) => pendingDelivery(stored, handler.name)));
      continue;
    }
    const startedAt = new Date();
    const log = engine.log.child({ handler: handler.name });
    const { signal } = engine;
    const budgetMs = engine.budgetOf(wanted.length);
    const run = { tx, handler, events: wanted, traces, attempt: 1, budgetMs, signal, log };
    const { outcomes, tookMs } = await runHandler(run);
    if (tookMs > budgetMs) {
      slow.push(handler.name);
      const fields = { budgetMs, tookMs: Math.round(tookMs), events: wanted.length };
      log.warn(fields, "handler used up its budget in a batch, its events become deliveries of their own");
    }
    outcomes.forEach((outcome, at) => {
      const event = wanted[at]?.stored;
      if (event === undefined) return;
      if (outcome.ok !== "deferred") tries.push({ handler: handler.name, succeeded: outcome.ok });
      const tried = { attempt: 1, startedAt, traceparent: traces.traceparentOf(event) };
      if (outcome.ok === false) traces.failed(event, outcome.error);
      results.push(deliveryResult(engine, handler, event, outcome, tried));
    });
  }
  await tx.recordQuarantine(quarantine);
  await tx.recordDeliveries(results);
  const waiting = await recordForEndpoints(tx, registered.endpoints, decoded);
  return { report: report(claimed.length, quarantine.length, results, waiting), results, tries, slow };
}

/** Takes note of what came of a batch, now that it is committed: what was undone and run again would count twice. */
function settle(engine: EngineContext, { report: done, results, tries, slow }: Processed): BatchReport {
  for (const { handler, succeeded } of tries) engine.failing.note(handler, succeeded);
  for (const handler of slow) engine.demotions.add(handler);
  tellFailures(engine, results);
  return done;
}
