import { createHash } from "node:crypto";
import { instruments, isTracing, markFailed, startSpan, withSpan } from "@penstock/telemetry";
import type { BatchContext, HandlerLog, TransactionalHandler } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { DecodedEvent } from "./decode-event.ts";
import type { EngineTransaction, SavepointOutcome } from "./engine-store.ts";
import {
  codeOf,
  ConflictError,
  HandlerAbandonedError,
  HandlerTimeoutError,
  isConflict,
  isUnavailable,
} from "./errors.ts";
import type { EventTraces } from "./event-traces.ts";

/** What a handler made of one event. `deferred`: its budget in this batch was used up before the event's turn. */
export type HandlerOutcome = SavepointOutcome | { readonly ok: "deferred" };

export interface HandlerRun {
  readonly tx: EngineTransaction;
  readonly handler: TransactionalHandler;
  readonly events: readonly DecodedEvent[];
  /** Where the handler's spans belong. */
  readonly traces: Pick<EventTraces, "contextOf">;
  /** Which try this is, the same for all its events. */
  readonly attempt: number;
  /** How long the handler may hold up this transaction, in milliseconds; checked between events. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  readonly log: HandlerLog & { child(fields: object): HandlerLog };
}

/** What a handler made of its events, in their order, and how long it held up the transaction for that. */
export interface HandlerResult {
  readonly outcomes: readonly HandlerOutcome[];
  readonly tookMs: number;
}

/**
 * Runs a handler for events of one transaction: all behind one savepoint, and when that fails, each behind its own, so
 * that only the culprits fail. The pass that failed is not counted as time that the handler took: it tells of the
 * culprit alone, and is bounded by the budget and one time-out.
 *
 * @throws HandlerTimeoutError when a call took too long: the transaction is lost and is to be run without this handler.
 * @throws ConflictError when another transaction was in the way: the transaction is to be run again.
 * @throws HandlerAbandonedError, or the signal's reason, when that is aborted: the transaction is lost.
 */
export async function runHandler(run: HandlerRun): Promise<HandlerResult> {
  const { events, budgetMs } = run;
  let startedAt = performance.now();
  const tookMs = (): number => performance.now() - startedAt;
  let handled = events.length;
  const together = await attempt(run, async (tx) => {
    handled = await handleTogether(run, tx);
  });
  if (together.ok) {
    return { outcomes: events.map((_, at) => (at < handled ? together : { ok: "deferred" })), tookMs: tookMs() };
  }
  if (events.length === 1) return { outcomes: [together], tookMs: tookMs() };
  startedAt = performance.now();
  const outcomes: HandlerOutcome[] = [];
  for (const decoded of events) {
    const overBudget = outcomes.length > 0 && tookMs() > budgetMs;
    outcomes.push(overBudget ? { ok: "deferred" } : await attempt(run, (tx) => handleOne(run, tx, decoded)));
  }
  return { outcomes, tookMs: tookMs() };
}

/** Runs a handler for one event, which has no neighbours to hold up. */
export async function runHandlerOnce(
  run: Omit<HandlerRun, "events" | "budgetMs"> & { readonly event: DecodedEvent },
): Promise<HandlerOutcome> {
  const { outcomes } = await runHandler({ ...run, events: [run.event], budgetMs: Infinity });
  return outcomes[0] ?? { ok: false, error: new Error("the handler had no outcome") };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
async function attempt(run: HandlerRun, fn: (tx: Transaction<any>) => Promise<void>): Promise<SavepointOutcome> {
  const outcome = await run.tx.savepoint(run.handler.schema, fn);
  // Told to stop: what it threw then says nothing of the event, which is run again by another worker.
  if (!outcome.ok && run.signal.aborted) throw run.signal.reason;
  // Rows that another transaction holds stay held by what this one did before: only starting over gets out of the way.
  if (!outcome.ok && isConflict(outcome.error)) throw new ConflictError("conflict", { cause: outcome.error });
  return outcome;
}

/** Returns how many of the events were handled before the budget was used up. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
async function handleTogether(run: HandlerRun, tx: Transaction<any>): Promise<number> {
  const { handler, events, log } = run;
  if (handler.handleBatch && events.length > 1) {
    const batch = events.map(({ event }) => event);
    await inBatchSpan(run, () =>
      withDeadline(run, (signal) => handler.handleBatch?.(batch, { tx, log, signal } satisfies BatchContext<unknown>)),
    );
    return events.length;
  }
  const startedAt = performance.now();
  for (const [at, decoded] of events.entries()) {
    if (at > 0 && performance.now() - startedAt > run.budgetMs) return at;
    await handleOne(run, tx, decoded);
  }
  return events.length;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
async function handleOne(run: HandlerRun, tx: Transaction<any>, { event, stored }: DecodedEvent): Promise<void> {
  const { handler, attempt } = run;
  let log: HandlerLog | undefined;
  const attributes = { "penstock.handler": handler.name, "penstock.attempt": attempt };
  await withSpan(spanName(handler), { attributes, parent: run.traces.contextOf(stored) }, () =>
    withDeadline(run, (signal) =>
      handler.handle(event, {
        tx,
        signal,
        attempt,
        // Made on first use: most handlers log nothing, and a child logger costs more than the rest of this call.
        get log() {
          return (log ??= run.log.child({ eventId: event.id, seq: event.seq }));
        },
        idempotencyKey: idempotencyKey(handler.name, stored.source, event.id, event.seq),
      }),
    ),
  );
}

const spanName = ({ name }: { name: string }): string => `handle ${name}`;

/**
 * The SQL of a `handleBatch` belongs to all of its events, so to the batch's trace. In each event's own the call is a span
 * that links there.
 */
async function inBatchSpan(run: HandlerRun, call: () => Promise<void>): Promise<void> {
  const { handler, events, traces, attempt } = run;
  const attributes = { "penstock.handler": handler.name, "messaging.batch.message_count": events.length };
  await withSpan(spanName(handler), { attributes }, async (span) => {
    const own = { attributes: { "penstock.handler": handler.name, "penstock.attempt": attempt } };
    const links = [span.spanContext()];
    const spans = isTracing()
      ? events.map(({ stored }) => startSpan(spanName(handler), { ...own, links, parent: traces.contextOf(stored) }))
      : [];
    try {
      await call();
    } catch (error) {
      for (const each of spans) markFailed(each, error);
      throw error;
    } finally {
      for (const each of spans) each.end();
    }
  });
}

/** Stable for (handler, event), and different between installations that share a provider's test events. */
function idempotencyKey(handler: string, source: string, eventId: string, seq: number): string {
  const name = JSON.stringify([handler, source, eventId, seq]);
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}

/**
 * Calls a handler with its own signal, and gives up on it when its time is up or the worker is out of patience, whether
 * it heeds the signal or not: one that does not would outlive the stop, and its lease run out as if it had killed us.
 */
async function withDeadline(run: HandlerRun, call: (signal: AbortSignal) => Promise<void> | void): Promise<void> {
  const { name, timeoutMs } = run.handler;
  run.signal.throwIfAborted();
  const abort = new AbortController();
  const startedAt = performance.now();
  let outcome = "succeeded";
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const giveUp = (error: Error): void => {
      abort.abort(error);
      reject(error);
    };
    timer = setTimeout(() => giveUp(new HandlerTimeoutError(name, timeoutMs)), timeoutMs);
    stop = () => giveUp(new HandlerAbandonedError(name, run.signal.reason));
    run.signal.addEventListener("abort", stop, { once: true });
  });
  try {
    await Promise.race([call(abort.signal), givenUp]);
  } catch (error) {
    // A conflict, an outage or a stop is no failure of the handler's.
    const interrupted = run.signal.aborted || isConflict(error) || isUnavailable(error);
    outcome = codeOf(error) === "HANDLER_TIMEOUT" ? "timed-out" : interrupted ? "interrupted" : "failed";
    throw error;
  } finally {
    instruments.handlerDuration().record((performance.now() - startedAt) / 1_000, { handler: name, outcome });
    clearTimeout(timer);
    if (stop !== undefined) run.signal.removeEventListener("abort", stop);
  }
}
