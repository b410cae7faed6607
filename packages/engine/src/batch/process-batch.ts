import { type DecodedEvent, decodeEvent, untouchedEvent } from "../event/decode-event.ts";
import {
  type BatchReport,
  deliveriesOfTheirOwn,
  deliveryResult,
  pendingDelivery,
  report,
  tellFailures,
  wants,
} from "../delivery/delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type {
  BatchClaim,
  ClaimedBatches,
  DeliveryResult,
  EngineTransaction,
  QuarantineRecord,
  Registered,
  StoredEvent,
} from "../contract/engine-store.ts";
import { codeOf, HandlerTimeoutError, isConflict, isUnavailable } from "../outage/errors.ts";
import { recordForEndpoints } from "../executors/endpoint-subscription.ts";
import { type EventTraces, traceEvents } from "../event/event-traces.ts";
import { createOutagePause } from "../outage/outage-pause.ts";
import { runHandler } from "../handler/run-handler.ts";
import { bySubject } from "../event/subject-order.ts";

/** A pointer to batches, as it came from the queue. */
export interface BatchPointer {
  readonly batches: readonly number[];
  /** How often a worker has started these batches and vanished: one of their events may have killed it. */
  readonly startedBefore: number;
}

const MAX_CONFLICTS = 3;
/** How often to wait for a lock, 5 s each: longer than a watchdog takes to end a worker whose event loop is blocked. */
const MAX_WAITS = 20;

/** From this start on, no user code is called for a batch, not even the code that reads its events. */
const UNTOUCHED_AFTER = 3;

/**
 * What is done with the events of a batch:
 *
 * - `handled`: every transactional handler runs, behind a savepoint of its own.
 * - `recorded`: no handler runs. Every handler gets deliveries that wait, and the deliveries' leases find the culprit.
 * - `untouched`: as `recorded`, and no source reads the events. An event that cannot be understood fails as a delivery.
 */
type Mode = "handled" | "recorded" | "untouched";

/**
 * Processes batches: one transaction claims the batches of the pointer and tops up with the oldest, records the new events, runs
 * every transactional handler for these, and writes a delivery per event and subscriber.
 *
 * The transaction is repeated after an outage, once Postgres can go on; after a time-out of a handler, without that handler,
 * whose events become deliveries; and after a conflict with another transaction. After any other failure, or when a worker
 * that had started these batches has vanished, each batch is only recorded.
 *
 * @throws when the engine's signal is aborted first: batches that are not committed are still pending.
 */
export async function processBatch(engine: EngineContext, pointer: BatchPointer): Promise<BatchReport> {
  const { batches, startedBefore } = pointer;
  if (startedBefore > 0) {
    const mode = startedBefore < UNTOUCHED_AFTER ? "recorded" : "untouched";
    const own = await recordEach(engine, batches, mode);
    // The killer may have topped up the claim, as one of the oldest.
    return addReports(own, await recordOldest(engine, mode));
  }
  let claimed: readonly number[] = batches;
  try {
    return await processTogether(engine, { batches, onTaken: (taken) => (claimed = taken) }, "handled");
  } catch (error) {
    if (engine.signal.aborted) throw error;
    engine.log.warn(
      { batches: claimed, code: codeOf(error), err: error },
      "batches failed, their events become deliveries of their own",
    );
    return recordEach(engine, claimed, "recorded");
  }
}

/** Records each batch in a transaction of its own: a batch that cannot be recorded stays pending, and holds up no other. */
async function recordEach(engine: EngineContext, batches: readonly number[], mode: Mode): Promise<BatchReport> {
  let sum = report({ events: 0 });
  for (const batch of batches) {
    try {
      sum = addReports(sum, await processTogether(engine, { batches: [batch], onlyThese: true, waits: true }, mode));
    } catch (error) {
      if (engine.signal.aborted) throw error;
      engine.log.error({ batch, err: error }, "batch could not be recorded, it stays pending");
      engine.setAside.add(batch);
    }
  }
  return sum;
}

async function recordOldest(engine: EngineContext, mode: Mode): Promise<BatchReport> {
  let claimed: readonly number[] = [];
  try {
    return await processTogether(engine, { batches: [], onTaken: (taken) => (claimed = taken) }, mode);
  } catch (error) {
    if (engine.signal.aborted) throw error;
    return recordEach(engine, claimed, mode);
  }
}

async function processTogether(
  engine: EngineContext,
  wanted: Pick<BatchClaim, "batches" | "onlyThese" | "waits" | "onTaken">,
  mode: Mode,
): Promise<BatchReport> {
  const { store, log, demotions } = engine;
  const { batchEvents: maxEvents, batchBytes: maxBytes } = engine;
  const pause = createOutagePause(engine);
  // Kept for all rounds, however soon a demotion ends: of several handlers that hang, the first would be back before the last
  // has timed out, and the rounds would never end.
  const timedOut = new Set<string>();
  for (let conflicts = 0; ;) {
    let events = 0;
    let traces: EventTraces | undefined;
    try {
      const processed = await engine.gate.shared(() => {
        engine.signal.throwIfAborted();
        return store.transaction(async (tx) => {
          // In one round trip. Handlers are read after the claim: a handler that was registered before must get its delivery.
          const claim = { ...wanted, except: engine.setAside.list(), maxEvents, maxBytes };
          const [claimed, registered] = await Promise.all([tx.claimBatches(claim), tx.registered()]);
          events = claimed.events.length;
          traces = traceEvents(claimed.events);
          return processClaimed(engine, { tx, claimed, registered, traces, mode, timedOut });
        });
      });
      traces?.end();
      return settle(engine, processed);
    } catch (error) {
      traces?.end(error);
      engine.signal.throwIfAborted();
      if (isUnavailable(error)) {
        await pause(error);
      } else if (error instanceof HandlerTimeoutError) {
        // The culprit is among these events: in one transaction they would time out once more.
        demotions.separate(error.handler, events);
        timedOut.add(error.handler);
        log.warn({ handler: error.handler }, "handler took too long, its events become deliveries of their own");
      } else if (!isConflict(error) || ++conflicts > (wanted.waits ? MAX_WAITS : MAX_CONFLICTS)) throw error;
    }
  }
}

interface Claimed {
  readonly tx: EngineTransaction;
  readonly claimed: ClaimedBatches;
  readonly registered: Registered;
  readonly traces: EventTraces;
  readonly mode: Mode;
  readonly timedOut: ReadonlySet<string>;
}

/** The outcome of batches, before the commit. */
interface Processed {
  readonly report: BatchReport;
  readonly results: readonly DeliveryResult[];
  readonly tries: readonly { readonly handler: string; readonly succeeded: boolean }[];
  /** Handlers that have used up their budget. */
  readonly slow: readonly string[];
}

async function processClaimed(
  engine: EngineContext,
  { tx, claimed, registered, traces, mode, timedOut }: Claimed,
): Promise<Processed> {
  const tries: { handler: string; succeeded: boolean }[] = [];
  const slow: string[] = [];
  const { batches, duplicates, conflicts, more } = claimed;
  const counts = { batches: batches.length, events: claimed.events.length, duplicates, conflicts, more };
  if (claimed.events.length === 0) return { report: report(counts), results: [], tries, slow };
  const { decoded, quarantine } = decodeAll(engine, claimed.events, mode, traces);
  const results = deliveriesOfTheirOwn(engine, registered.handlers, decoded, traces, {
    tellLanes: mode !== "untouched",
  });
  const paused = new Set(registered.handlers.filter((handler) => handler.paused).map(({ name }) => name));
  for (const handler of engine.batched) {
    if (paused.has(handler.name)) continue;
    const wanting = decoded.filter(({ event }) => wants(handler, event));
    const waits =
      mode !== "handled" ||
      timedOut.has(handler.name) ||
      engine.demotions.has(handler.name) ||
      engine.failing.has(handler.name);
    // Events that were made for a replay run as deliveries: handleBatch could not tell them from others.
    const wanted = waits ? [] : wanting.filter(({ stored }) => stored.replay === null);
    for (const one of wanting)
      if (waits || one.stored.replay !== null) results.push(pendingDelivery(one.stored, handler.name));
    if (wanted.length === 0) continue;
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
  const endpoints = await recordForEndpoints(tx, registered.endpoints, decoded, { filtered: mode !== "untouched" });
  tx.recordAtCommit(results, quarantine);
  return { report: report({ ...counts, quarantined: quarantine.length }, results, endpoints), results, tries, slow };
}

/** Decodes events, in the order that all workers share; events that cannot be understood go into quarantine. */
function decodeAll(
  engine: EngineContext,
  events: readonly StoredEvent[],
  mode: Mode,
  traces: EventTraces,
): { readonly decoded: readonly DecodedEvent[]; readonly quarantine: readonly QuarantineRecord[] } {
  const decoded: DecodedEvent[] = [];
  const quarantine: QuarantineRecord[] = [];
  for (const stored of events.toSorted(bySubject)) {
    const decoding = mode === "untouched" ? untouchedEvent(stored) : decodeEvent(stored, engine.findSource);
    if (decoding.ok) decoded.push(decoding.decoded);
    else {
      quarantine.push(decoding.quarantine);
      traces.quarantined(stored, decoding.quarantine.reason);
    }
  }
  return { decoded, quarantine };
}

/** Counts and logs the outcome of batches after the commit: before it, a repeated transaction would count twice. */
function settle(engine: EngineContext, { report: done, results, tries, slow }: Processed): BatchReport {
  for (const { handler, succeeded } of tries) engine.failing.note(handler, succeeded);
  for (const handler of slow) engine.demotions.add(handler);
  tellFailures(engine, results);
  return done;
}

/** The sum of two reports. */
function addReports(a: BatchReport, b: BatchReport): BatchReport {
  return {
    batches: a.batches + b.batches,
    events: a.events + b.events,
    duplicates: a.duplicates + b.duplicates,
    conflicts: a.conflicts + b.conflicts,
    more: a.more || b.more,
    quarantined: a.quarantined + b.quarantined,
    succeeded: a.succeeded + b.succeeded,
    failed: a.failed + b.failed,
    waiting: [...new Set([...a.waiting, ...b.waiting])],
  };
}
