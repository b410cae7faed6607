import type { TransactionalHandler } from "@penstock/handler-sdk";
import { decodeEvent } from "./decode-event.ts";
import {
  addReports,
  type BatchReport,
  deliveriesOfTheirOwn,
  deliveryResult,
  report,
  tellFailures,
  type Tried,
  wants,
} from "./delivery-result.ts";
import type { EngineContext } from "./engine-context.ts";
import type { DeliveryResult, EngineTransaction, StoredEvent } from "./engine-store.ts";
import { recordForEndpoints } from "./endpoint-subscription.ts";
import { isConflict, isUnavailable } from "./errors.ts";
import { type EventTraces, traceEvents } from "./event-traces.ts";
import { createOutagePause, whileAvailable } from "./outage-pause.ts";
import { type HandlerOutcome, runHandlerOnce } from "./run-handler.ts";

/** An event that took its process down this often is a dead letter of the handler that was running. */
const MAX_KILLS = 3;

const MAX_CONFLICTS = 3;

interface Finished {
  readonly quarantined: number;
  readonly results: readonly DeliveryResult[];
  /** That have a delivery which waits. */
  readonly endpoints: readonly string[];
}

type Step =
  | ({ readonly is: "finished" } & Finished)
  | { readonly is: "handled"; readonly result: DeliveryResult; readonly eventId: string | null }
  | { readonly is: "not-ours" };

/**
 * Processes events one by one, each handler in a transaction of its own: the careful way, for a batch that failed as a
 * whole or whose process died. Nothing else of this process runs beside an event, and before each it commits that the event is being tried alone, so that one that kills
 * its process is known by name; the third time, the delivery to the handler that was running is dead and the event's
 * other handlers go on.
 *
 * @throws when the engine's signal is aborted meanwhile.
 */
export async function processAlone(
  engine: EngineContext,
  listEvents: () => Promise<readonly { seq: number; day: string }[]>,
): Promise<BatchReport> {
  let sum = report(0, 0, []);
  for (const { seq, day } of await whileAvailable(engine, listEvents)) {
    try {
      sum = addReports(sum, await processEvent(engine, { seq, day }));
    } catch (error) {
      if (engine.signal.aborted) throw error;
      // One that cannot even be recorded must not hold up the later ones: it stays pending, and the sweep finds it.
      engine.log.error({ seq, day, err: error }, "event could not be processed, it stays pending");
    }
  }
  return sum;
}

async function processEvent(engine: EngineContext, event: { seq: number; day: string }): Promise<BatchReport> {
  const pause = createOutagePause(engine);
  const results: DeliveryResult[] = [];
  for (;;) {
    let outage: unknown;
    let begun = false;
    try {
      return await engine.gate.alone(async () => {
        engine.signal.throwIfAborted();
        const before = await engine.store.beginTry(event.seq);
        if (before === null) return report(0, 0, results);
        begun = true;
        const done = await runHandlers(engine, event, before, results);
        begun = done.events === 0;
        return done;
      });
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      outage = error;
    } finally {
      // Whatever went wrong came back to this process, so it took nothing down: counted, it would make an innocent
      // handler a dead letter the third time.
      if (begun) await giveBack(engine, event.seq);
    }
    await pause(outage);
  }
}

/** Runs all its handlers, and adds what became of each to `results`. */
async function runHandlers(
  engine: EngineContext,
  event: { seq: number; day: string },
  before: number,
  results: DeliveryResult[],
): Promise<BatchReport> {
  for (let killed = before >= MAX_KILLS; ; killed = false) {
    const step = await handleNext(engine, event, killed);
    if (step.is === "not-ours") return report(0, 0, results);
    if (step.is === "finished") {
      tellFailures(engine, step.results);
      return report(1, step.quarantined, [...results, ...step.results], step.endpoints);
    }
    tellFailures(engine, [step.result]);
    results.push(step.result);
    if (!killed) continue;
    const { eventId, result } = step;
    const fields = { ...event, eventId, handler: result.subscriber };
    engine.log.error(fields, "event killed its process, it is a dead letter now");
  }
}

/** Takes the try back; while Postgres is away, or another worker holds the event, as soon as it can be done. */
async function giveBack(engine: EngineContext, seq: number): Promise<void> {
  const pause = createOutagePause(engine);
  for (;;) {
    try {
      await engine.store.endTry(seq);
      return;
    } catch (error) {
      if (engine.signal.aborted || !(isUnavailable(error) || isConflict(error))) {
        engine.log.warn({ seq, err: error }, "a try of an event could not be given back, it stays counted");
        return;
      }
      await pause(error).catch(() => undefined); // aborted: one last try
    }
  }
}

/** Runs the next handler that has no delivery of the event yet; when there is none, the event is finished. */
async function handleNext(engine: EngineContext, event: { seq: number; day: string }, killed: boolean): Promise<Step> {
  const startedAt = new Date();
  for (let conflicts = 0; ; conflicts++) {
    let running: { handler: TransactionalHandler; stored: StoredEvent } | undefined;
    let traces: EventTraces | undefined;
    try {
      const step = await engine.store.transaction(async (tx): Promise<Step> => {
        const stored = await tx.claimEvent(event);
        if (stored === null) return { is: "not-ours" };
        traces = traceEvents([stored]);
        const decoding = decodeEvent(stored, engine.findSource);
        if (!decoding.ok) {
          await tx.recordQuarantine([decoding.quarantine]);
          traces.quarantined(stored, decoding.quarantine.reason);
          return finish(tx, stored, { quarantined: 1, results: [], endpoints: [] });
        }
        const { decoded } = decoding;
        const passed = new Set(await tx.subscribersOf(event));
        const registered = await tx.registered();
        const paused = new Set(registered.handlers.filter((one) => one.paused).map(({ name }) => name));
        const handler = engine.batched.find(
          (one) => wants(one, decoded.event) && !passed.has(one.name) && !paused.has(one.name),
        );
        if (handler === undefined) {
          const others = deliveriesOfTheirOwn(engine, registered.handlers, [decoded], traces, { tellLanes: !killed });
          const endpoints = await recordForEndpoints(tx, registered.endpoints, [decoded]);
          const missing = others.filter(({ subscriber }) => !passed.has(subscriber));
          return finish(tx, stored, { quarantined: 0, results: missing, endpoints });
        }
        running = { handler, stored };
        if (killed) {
          // Together: were the process to die in between, the next handler would be blamed for this one's tries.
          await tx.restartTries(stored.seq);
          traces.failed(stored);
          return record(tx, stored, killedResult(handler, stored, startedAt, traces.traceparentOf(stored)));
        }
        const log = engine.log.child({ handler: handler.name });
        const { signal } = engine;
        const outcome = await runHandlerOnce({ tx, handler, event: decoded, traces, attempt: 1, signal, log });
        const tried = { attempt: 1, startedAt, traceparent: traces.traceparentOf(stored) };
        if (outcome.ok === false) traces.failed(stored, outcome.error);
        return record(tx, stored, deliveryResult(engine, handler, stored, outcome, tried));
      });
      traces?.end();
      return step;
    } catch (error) {
      traces?.end(error);
      if (engine.signal.aborted || isUnavailable(error) || running === undefined) throw error;
      if (isConflict(error) && conflicts < MAX_CONFLICTS) continue;
      // Timed out, or COMMIT was refused: the transaction is gone, so what became of it is written by another one.
      const tried = { attempt: 1, startedAt, traceparent: traces?.traceparentOf(running.stored) ?? null };
      return recordFailure(engine, running.handler, running.stored, { ok: false, error }, tried);
    }
  }
}

async function finish(tx: EngineTransaction, event: StoredEvent, finished: Finished): Promise<Step> {
  await tx.recordDeliveries(finished.results);
  await tx.finishEvent(event.seq);
  return { is: "finished", ...finished };
}

async function record(tx: EngineTransaction, { eventId }: StoredEvent, result: DeliveryResult): Promise<Step> {
  await tx.recordDeliveries([result]);
  return { is: "handled", result, eventId };
}

async function recordFailure(
  engine: EngineContext,
  handler: TransactionalHandler,
  event: StoredEvent,
  outcome: HandlerOutcome,
  tried: Tried,
): Promise<Step> {
  return engine.store.transaction(async (tx): Promise<Step> => {
    if ((await tx.claimEvent(event)) === null) return { is: "not-ours" };
    return record(tx, event, deliveryResult(engine, handler, event, outcome, tried));
  });
}

function killedResult(
  handler: TransactionalHandler,
  event: StoredEvent,
  startedAt: Date,
  traceparent: string | null,
): DeliveryResult {
  return {
    event,
    subscriber: handler.name,
    state: "dead",
    attempts: MAX_KILLS,
    attempt: {
      startedAt,
      outcome: "interrupted",
      errorClass: "ProcessDied",
      errorMessage: `the worker process died ${MAX_KILLS} times while this handler ran`,
      traceparent,
    },
  };
}
