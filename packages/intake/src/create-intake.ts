import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { wallClockMs } from "@penstock/schemas";
import {
  addLink,
  contextOf,
  eventAttributes,
  detached,
  instruments,
  isTracing,
  type Logger,
  markFailed,
  newTrace,
  onceInAWhile,
  type Span,
  type SpanOptions,
  startSpan,
  toTraceparent,
  withSpan,
} from "@penstock/telemetry";
import { IntakeUnavailableError } from "./errors.ts";
import type { BatchQueue, EventStore, InsertOutcome, NewEvent } from "./event-store.ts";
import { forDisplay, toConflict, toNewEvent, type VerifiedEvent } from "./new-event.ts";

export interface IntakeOptions {
  readonly store: EventStore;
  readonly queue: BatchQueue;
  readonly log: Logger;
  /** How far back the ledger can vouch that an event is new, in days. */
  readonly windowDays: number;
  /** Events that wait for a commit before further ones are refused; 20,000 unless given. */
  readonly maxWaitingEvents?: number;
  /** Bytes of bodies that wait for a commit before further ones are refused; 128 MiB unless given. */
  readonly maxWaitingBytes?: number;
  /** The most events of one commit; 500 unless given. */
  readonly maxBatchEvents?: number;
  /** The most bytes of bodies of one commit; 4 MiB unless given. One event always fits. */
  readonly maxBatchBytes?: number;
  /** How long an event may wait to be committed before its sender is told to try again, in milliseconds; 5,000 unless given. */
  readonly deadlineMs?: number;
}

/**
 * What became of an event: it is new; it is a duplicate; it has an id seen before with another body (kept, for
 * quarantine); or it is new and could not be read whole or vouched for (kept, for quarantine).
 */
export type AcceptOutcome = InsertOutcome | "quarantined";

/** Takes verified events and answers once each is on disk. */
export interface Intake {
  /**
   * Resolves once the event is committed, with what it was.
   *
   * @throws IntakeUnavailableError
   */
  accept(event: VerifiedEvent): Promise<AcceptOutcome>;
  /** Refuses further events and waits until those taken have their answer and their job. */
  close(): Promise<void>;
}

interface Waiting {
  event: NewEvent;
  /** The ledger knows its id with another body: it is stored under a key of its own. */
  conflict: boolean;
  readonly since: number;
  /** The wait, in the event's trace. */
  readonly span: Span;
  answered: boolean;
  /** The same event again, sent at the same time: one row answers them all. */
  readonly twins: Waiting[];
  resolve(outcome: AcceptOutcome): void;
  reject(error: Error): void;
}

const MAX_DEADLOCKS = 3;

/** The least time between two jobs, in milliseconds: a job costs as much as several events. The first waits for nobody. */
const JOB_SPACING_MS = 10;

/**
 * Wires intake. The events that are in flight together are committed together, and what has been committed since the
 * last job was added is a batch: one job points to it. One commit is under way at a time and the next gathers meanwhile,
 * so that a lone event waits for nobody and batches grow with the load.
 *
 * The job is no part of the acknowledgement: when the queue is away, the events are found in `pending` and their job is
 * added later.
 */
export function createIntake(options: IntakeOptions): Intake {
  const { store, queue, log, windowDays } = options;
  const { maxWaitingEvents = 20_000, maxWaitingBytes = 128 * 1024 * 1024 } = options;
  const { maxBatchEvents = 500, maxBatchBytes = 4 * 1024 * 1024, deadlineMs = 5_000 } = options;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let running: Promise<void> | undefined;
  let closing = false;
  let committing: readonly Waiting[] = [];
  let expiry: NodeJS.Timeout | undefined;
  const sayQueueAway = onceInAWhile();
  const sayStoreAway = onceInAWhile();
  let nextJob = newJob();
  let adding: Promise<void> | undefined;

  function accept(verified: VerifiedEvent): Promise<AcceptOutcome> {
    if (closing) return Promise.reject(new IntakeUnavailableError("intake is closing"));
    if (waiting.length >= maxWaitingEvents || waitingBytes >= maxWaitingBytes) {
      return Promise.reject(new IntakeUnavailableError("too many events are waiting to be committed"));
    }
    const span = startEventSpan(verified);
    const traceparent = toTraceparent(span) ?? verified.traceparent;
    const event = toNewEvent({ ...verified, traceparent }, windowDays, wallClockMs());
    return new Promise((resolve, reject) => {
      wait({ event, conflict: false, since: performance.now(), span, answered: false, twins: [], resolve, reject });
      expiry ??= setTimeout(expire, deadlineMs).unref();
      // It goes on for those that come after this one, whose request it must not seem to belong to.
      running ??= detached(run);
    });
  }

  function answer(one: Waiting, outcome: AcceptOutcome | Error): void {
    if (one.answered) return; // its time was up
    one.answered = true;
    if (outcome instanceof Error) {
      markFailed(one.span, outcome);
      one.reject(outcome);
    } else {
      one.span.setAttribute("penstock.event.outcome", outcome);
      one.resolve(outcome);
    }
    one.span.end();
  }

  /** Answers those whose time is up: one that waits behind a commit that hangs must not wait for its own as well. */
  function expire(): void {
    expiry = undefined;
    const now = performance.now();
    let nextMs = Infinity;
    for (const one of allOf([...committing, ...waiting])) {
      const leftMs = one.since + deadlineMs - now;
      if (one.answered) continue;
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
      else answer(one, new IntakeUnavailableError(`no commit within ${deadlineMs} ms: the outcome is unknown`));
    }
    if (nextMs < Infinity) expiry ??= setTimeout(expire, nextMs).unref();
  }

  function wait(one: Waiting): void {
    waiting.push(one);
    waitingBytes += one.event.body.length;
  }

  async function run(): Promise<void> {
    // What else arrives in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      committing = takeBatch();
      if (committing.length > 0) await commitBatch(committing);
      committing = [];
      enqueue();
    }
    running = undefined;
  }

  /**
   * Takes the oldest that wait and are of use, each key once: the same event again goes with the first, and another body
   * with its id learns from the ledger what it is.
   */
  function takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const byKey = new Map<string, Waiting>();
    let bytes = 0;
    for (const one of waiting) {
      const { key } = one.event;
      const size = one.event.body.length;
      const first = byKey.get(key);
      const fits = batch.length === 0 || (batch.length < maxBatchEvents && bytes + size <= maxBatchBytes);
      if (!isAwaited(one)) {
        waitingBytes -= size;
      } else if (first?.event.bodyHash === one.event.bodyHash) {
        waitingBytes -= size;
        first.twins.push(one, ...one.twins);
      } else if (first !== undefined || !fits) {
        left.push(one);
      } else {
        waitingBytes -= size;
        bytes += size;
        byKey.set(key, one);
        batch.push(one);
      }
    }
    waiting = left;
    return batch;
  }

  function isAwaited(one: Waiting): boolean {
    return !one.answered || one.twins.some(({ answered }) => !answered);
  }

  async function commitBatch(batch: readonly Waiting[]): Promise<void> {
    const batchId = nextJob.batchId;
    const job = nextJob;
    try {
      // A trace of its own: it belongs to all of its events and to none of them.
      const outcomes = await withSpan("accept batch", batchSpan(batchId, batch), async (span) => {
        if (isTracing()) for (const one of allOf(batch)) addLink(one.span, span.spanContext());
        const inserted = await insert(batchId, batch);
        if (inserted.includes("new")) job.commits.push(span);
        return inserted;
      });
      instruments.batchEvents().record(batch.length, { stage: "accept" });
      settle(batch, outcomes);
    } catch (error) {
      if (batch.length > 1 && !isUnavailable(error)) {
        // Something in one event that Postgres refuses must not fail its neighbours.
        log.warn({ batchId, events: batch.length, err: error }, "batch was refused, storing its events one by one");
        for (const one of batch) if (isAwaited(one)) await commitBatch([one]);
        return;
      }
      sayStoreAway(() => {
        log.error(
          { batchId, events: batch.length, err: error },
          "events could not be stored, their senders are to retry",
        );
      });
      const message = error instanceof Error ? error.message : String(error);
      const unavailable = new IntakeUnavailableError(message, { cause: error });
      for (const one of allOf(batch)) answer(one, unavailable);
    }
  }

  async function insert(batchId: string, batch: readonly Waiting[]): Promise<InsertOutcome[]> {
    const events = batch.map(({ event }) => event);
    for (let deadlocks = 0; ; deadlocks++) {
      try {
        return await within(deadlineMs, store.insertEvents(batchId, events));
      } catch (error) {
        if (codeOf(error) !== "40P01" || deadlocks >= MAX_DEADLOCKS) throw error;
        await delay(Math.random() * 20);
      }
    }
  }

  function settle(batch: readonly Waiting[], outcomes: readonly InsertOutcome[]): void {
    batch.forEach((one, at) => {
      const outcome = outcomes[at];
      if (outcome === undefined) throw new Error("the store did not say what became of an event");
      if (outcome === "conflict" && !one.conflict) {
        one.event = toConflict(one.event);
        one.conflict = true;
        return wait(one);
      }
      const kept = one.conflict ? "conflict" : one.event.problem === null ? "new" : "quarantined";
      answer(one, outcome === "new" ? kept : outcome);
      for (const twin of one.twins) answer(twin, "duplicate");
    });
  }

  /**
   * Adds the job of what has been committed. While one is being added, and shortly after, further commits gather under
   * the next job's id, so that under load a queue gets fewer jobs, not a backlog of them.
   */
  function enqueue(): void {
    const {
      batchId,
      commits: [first, ...others],
    } = nextJob;
    if (first === undefined || adding !== undefined) return;
    // A new id from here on: the job may be taken, and done, before anything else is committed.
    nextJob = newJob();
    const span = {
      attributes: { "penstock.batch.id": batchId },
      parent: contextOf(first, newTrace),
      links: others.map((other) => other.spanContext()),
    };
    const job = withSpan("enqueue batch", span, () => queue.add([batchId])).catch((error: unknown) => {
      // Not lost: the sweep finds the batch in `pending`.
      sayQueueAway(() => {
        log.warn({ batchId, err: error }, "queue is away, events are kept in Postgres and enqueued when it is back");
      });
    });
    adding = Promise.all([job, delay(closing ? 0 : JOB_SPACING_MS)]).then(added);
  }

  function added(): void {
    adding = undefined;
    // What is being committed has the next job's id already: then the end of the commit adds it.
    if (committing.length === 0) enqueue();
  }

  return {
    accept,
    async close() {
      closing = true;
      while (running !== undefined) await running;
      clearTimeout(expiry);
      while (adding !== undefined) await adding;
    },
  };
}

/** The job that what is committed from now on belongs to; due once a commit has given it something to point to. */
function newJob(): { readonly batchId: string; readonly commits: Span[] } {
  return { batchId: randomUUID(), commits: [] };
}

/** Those that wait, and with each the same event sent again. */
function allOf(waiting: readonly Waiting[]): Waiting[] {
  return waiting.flatMap((one) => [one, ...one.twins]);
}

function startEventSpan({ source, identity: { id, type } }: VerifiedEvent): Span {
  const span = startSpan("accept event");
  if (span.isRecording()) {
    span.setAttributes(eventAttributes({ source, eventId: id === null ? null : forDisplay(id), type }));
  }
  return span;
}

function batchSpan(batchId: string, batch: readonly Waiting[]): SpanOptions {
  return {
    parent: newTrace,
    attributes: { "penstock.batch.id": batchId, "messaging.batch.message_count": batch.length },
    links: isTracing() ? allOf(batch).map(({ span }) => span.spanContext()) : [],
  };
}

/** No fault of an event: one by one, each of a batch would run into the same. 55P03 is lock_not_available. */
function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  return error instanceof IntakeUnavailableError || code === "DATABASE_UNAVAILABLE" || code === "55P03";
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new IntakeUnavailableError(`no commit within ${deadlineMs} ms: the outcome is unknown`));
    }, deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined); // may still fail after nobody waits for it
  }
}
