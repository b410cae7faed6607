import { isTracing, markFailed, noTrace, startSpan, unsampledTrace, withSpan } from "@penstock/telemetry";
import type { BatchContext, HandlerLog, Replay, TransactionalHandler } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { DecodedEvent } from "../event/decode-event.ts";
import type { EngineTransaction, SavepointOutcome } from "../contract/engine-store.ts";
import { FAILING_AFTER } from "./failing-handlers.ts";
import { ConflictError, isConflict, isUnavailable } from "../outage/errors.ts";
import type { EventTraces } from "../event/event-traces.ts";
import { idempotencyKey } from "../event/idempotency-key.ts";
import { sensitiveLog } from "../event/sensitive-log.ts";
import { withDeadline } from "./with-deadline.ts";

/** The outcome of one event. `deferred`: the event did not come up, since the budget was used up or too many failed in a row. */
export type HandlerOutcome = SavepointOutcome | { readonly ok: "deferred" };

export interface HandlerRun {
  readonly tx: Pick<EngineTransaction, "savepoint">;
  readonly handler: TransactionalHandler;
  readonly events: readonly DecodedEvent[];
  /** The parents of the handler's spans. */
  readonly traces: Pick<EventTraces, "contextOf">;
  /** The number of the attempt, the same for all events. */
  readonly attempt: number;
  /** How often the deliveries' effects are done anew; 0 by default. */
  readonly generation?: number;
  /** The replay that runs the deliveries; an event that was made for a replay names its own. */
  readonly replay?: Replay | null;
  /** How long the handler may hold up this transaction, in milliseconds; checked between events. */
  readonly budgetMs: number;
  readonly signal: AbortSignal;
  readonly log: HandlerLog & { child(fields: object): HandlerLog };
}

/** The outcomes of a handler's events, in their order, and how long the handler held up the transaction. */
export interface HandlerResult {
  readonly outcomes: readonly HandlerOutcome[];
  readonly tookMs: number;
}

/**
 * Runs a handler for events of one transaction: all behind one savepoint, and after a failure each behind a savepoint of its own,
 * so that only the culprits fail. It stops after many failures in a row. The pass that failed does not count as time that
 * the handler took: it says something about the culprit only, and the budget and one time-out bound it.
 *
 * @throws HandlerTimeoutError when a call took too long: the transaction is lost, and is to be repeated without this handler.
 * @throws ConflictError when another transaction was in the way: the transaction is to be repeated.
 * @throws HandlerAbandonedError, or the signal's reason, when the signal is aborted: the transaction is lost.
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
  let failuresInARow = 0;
  for (const decoded of events) {
    if ((outcomes.length > 0 && tookMs() > budgetMs) || failuresInARow >= FAILING_AFTER) break;
    const outcome = await attempt(run, (tx) => handleOne(run, tx, decoded));
    failuresInARow = outcome.ok ? 0 : failuresInARow + 1;
    outcomes.push(outcome);
  }
  return { outcomes: events.map((_, at) => outcomes[at] ?? { ok: "deferred" }), tookMs: tookMs() };
}

/** Runs a handler for one event, without a budget: no other event waits in the transaction. */
export async function runHandlerOnce(
  run: Omit<HandlerRun, "events" | "budgetMs"> & { readonly event: DecodedEvent },
): Promise<HandlerOutcome> {
  const { outcomes } = await runHandler({ ...run, events: [run.event], budgetMs: Infinity });
  return outcomes[0] ?? { ok: false, error: new Error("the handler had no outcome") };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
async function attempt(run: HandlerRun, fn: (tx: Transaction<any>) => Promise<void>): Promise<SavepointOutcome> {
  const outcome = await run.tx.savepoint(run.handler.schema, fn);
  // In a stop, an error says nothing about the event, which another worker runs again.
  if (!outcome.ok && run.signal.aborted) throw run.signal.reason;
  // A rollback to the savepoint keeps the locks of earlier handlers, so only a new transaction resolves the conflict.
  if (!outcome.ok && isConflict(outcome.error)) throw new ConflictError("conflict", { cause: outcome.error });
  return outcome;
}

/** Resolves to how many events were handled before the budget was used up. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
async function handleTogether(run: HandlerRun, tx: Transaction<any>): Promise<number> {
  const { handler, events, log } = run;
  // One call for many events could not tell which replay runs which event.
  const isReplayed = run.replay != null || events.some(({ stored }) => stored.replay !== null);
  if (handler.handleBatch && events.length > 1 && !isReplayed) {
    const batch = events.map(({ event }) => event);
    await inBatchSpan(run, () =>
      withDeadline(handler, run.signal, isInterruption, (signal) =>
        handler.handleBatch?.(batch, { tx, log: sensitiveLog(log, events), signal } satisfies BatchContext<unknown>),
      ),
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
async function handleOne(run: HandlerRun, tx: Transaction<any>, decoded: DecodedEvent): Promise<void> {
  const { event, stored } = decoded;
  const { handler, attempt } = run;
  let log: HandlerLog | undefined;
  const attributes = { "penstock.handler": handler.name, "penstock.attempt": attempt };
  await withSpan(spanName(handler), { attributes, parent: run.traces.contextOf(stored) }, () =>
    withDeadline(handler, run.signal, isInterruption, (signal) =>
      handler.handle(event, {
        tx,
        signal,
        attempt,
        replay: run.replay ?? stored.replay,
        // Made on first use: a child logger costs more than the rest of this call, and most handlers log nothing.
        get log() {
          const trace = unsampledTrace(stored.traceparent);
          return (log ??= sensitiveLog(run.log.child({ eventId: event.id, seq: event.seq, ...trace }), [decoded]));
        },
        idempotencyKey: idempotencyKey(handler.name, event, run.generation ?? 0),
      }),
    ),
  );
}

/** A conflict or an outage is no failure of the handler. */
const isInterruption = (error: unknown): boolean => isConflict(error) || isUnavailable(error);

const spanName = ({ name }: { name: string }): string => `handle ${name}`;

/**
 * Runs a `handleBatch` under a span of the batch's trace, since its SQL belongs to all events. In the trace of each event the call
 * is a span that links to the batch's.
 */
async function inBatchSpan(run: HandlerRun, call: () => Promise<void>): Promise<void> {
  const { handler, events, traces, attempt } = run;
  const attributes = { "penstock.handler": handler.name, "messaging.batch.message_count": events.length };
  await withSpan(spanName(handler), { attributes }, async (span) => {
    const own = { attributes: { "penstock.handler": handler.name, "penstock.attempt": attempt } };
    const links = [span.spanContext()];
    const parents = isTracing() ? events.map(({ stored }) => traces.contextOf(stored)) : [];
    const spans = parents
      .filter((parent) => parent !== noTrace)
      .map((parent) => startSpan(spanName(handler), { ...own, links, parent }));
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
