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
import type { BatchQueue, EventStore, NewEvent } from "./event-store.ts";
import { forDisplay, toNewEvent, type VerifiedEvent } from "./new-event.ts";

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
  /** The most events of one commit; 200 unless given. 1,024 is the most there can be. */
  readonly maxBatchEvents?: number;
  /** The most bytes of bodies of one commit; 4 MiB unless given. One event always fits. */
  readonly maxBatchBytes?: number;
  /** How long an event may wait to be committed before its sender is told to try again, in milliseconds; 5,000 unless given. */
  readonly deadlineMs?: number;
}

/** Takes verified events and answers once each is on disk. */
export interface Intake {
  /**
   * Resolves once the event is committed. Whether it is new, its worker finds out.
   *
   * @throws IntakeUnavailableError
   */
  accept(event: VerifiedEvent): Promise<void>;
  /** Refuses further events and waits until those taken have their answer and their job. */
  close(): Promise<void>;
}

interface Waiting {
  readonly event: NewEvent;
  readonly since: number;
  /** The wait, in the event's trace. */
  readonly span: Span;
  answered: boolean;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The least time between two jobs, in milliseconds. The first waits for nobody. A job is a transaction of its own, which costs as
 * much as a dozen events: where a job has more, the next one gathers for longer, and waits less for its turn.
 */
const JOB_SPACING_MS = 10;
const BUSY_EVENTS = 10;
const BUSY_SPACING_MS = 40;

/**
 * Wires intake. The events that are in flight together are a batch and are committed together. One commit is under way at
 * a time and the next gathers meanwhile, so that a lone event waits for nobody and batches grow with the load. One job points
 * to what has been committed since the last job was added.
 *
 * The job is no part of the acknowledgement: when the queue is away, the batches are found in `pending` and their job is
 * added later.
 */
export function createIntake(options: IntakeOptions): Intake {
  const { store, queue, log, windowDays } = options;
  const { maxWaitingEvents = 20_000, maxWaitingBytes = 128 * 1024 * 1024 } = options;
  const { maxBatchEvents = 200, maxBatchBytes = 4 * 1024 * 1024, deadlineMs = 5_000 } = options;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let running: Promise<void> | undefined;
  let closing = false;
  let committing: readonly Waiting[] = [];
  let expiry: NodeJS.Timeout | undefined;
  const sayQueueAway = onceInAWhile();
  const sayStoreAway = onceInAWhile();
  /** Committed, and no job points to them yet. */
  let committed: Committed[] = [];
  let adding: Promise<void> | undefined;

  function accept(verified: VerifiedEvent): Promise<void> {
    if (closing) return Promise.reject(new IntakeUnavailableError("intake is closing"));
    if (waiting.length >= maxWaitingEvents || waitingBytes >= maxWaitingBytes) {
      return Promise.reject(new IntakeUnavailableError("too many events are waiting to be committed"));
    }
    const span = startEventSpan(verified);
    const traceparent = toTraceparent(span) ?? verified.traceparent;
    const event = toNewEvent({ ...verified, traceparent }, windowDays, wallClockMs());
    return new Promise((resolve, reject) => {
      waiting.push({ event, since: performance.now(), span, answered: false, resolve, reject });
      waitingBytes += event.body.length;
      expiry ??= setTimeout(expire, deadlineMs).unref();
      // It goes on for those that come after this one, whose request it must not seem to belong to.
      running ??= detached(run);
    });
  }

  function answer(one: Waiting, error?: Error): void {
    if (one.answered) return; // its time was up
    one.answered = true;
    if (error === undefined) one.resolve();
    else {
      markFailed(one.span, error);
      one.reject(error);
    }
    one.span.end();
  }

  /** Answers those whose time is up: one that waits behind a commit that hangs must not wait for its own as well. */
  function expire(): void {
    expiry = undefined;
    const now = performance.now();
    let nextMs = Infinity;
    for (const one of [...committing, ...waiting]) {
      const leftMs = one.since + deadlineMs - now;
      if (one.answered) continue;
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
      else answer(one, new IntakeUnavailableError(`no commit within ${deadlineMs} ms: the outcome is unknown`));
    }
    if (nextMs < Infinity) expiry ??= setTimeout(expire, nextMs).unref();
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

  /** Takes the oldest that somebody still waits for, as many as fit. */
  function takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    let taken = 0;
    for (const one of waiting) {
      const size = one.event.body.length;
      if (!one.answered) {
        if (batch.length > 0 && (batch.length >= maxBatchEvents || bytes + size > maxBatchBytes)) break;
        batch.push(one);
        bytes += size;
      }
      waitingBytes -= size;
      taken++;
    }
    waiting = waiting.slice(taken);
    return batch;
  }

  async function commitBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      // A trace of its own: it belongs to all of its events and to none of them.
      await withSpan("accept batch", batchSpan(batch), async (span) => {
        if (isTracing()) for (const one of batch) addLink(one.span, span.spanContext());
        const events = batch.map(({ event }) => event);
        const number = await within(deadlineMs, store.commitBatch(events));
        span.setAttribute("penstock.batch", number);
        committed.push({ batch: number, events: batch.length, span });
      });
      for (const one of batch) answer(one);
      instruments.batchEvents().record(batch.length, { stage: "accept" });
    } catch (error) {
      sayStoreAway(() => {
        log.error({ events: batch.length, err: error }, "events could not be stored, their senders are to retry");
      });
      const message = error instanceof Error ? error.message : String(error);
      const unavailable = new IntakeUnavailableError(message, { cause: error });
      for (const one of batch) answer(one, unavailable);
    }
  }

  /**
   * Adds the job of what has been committed. While one is being added, and shortly after, further batches gather for the
   * next job, so that under load a queue gets fewer jobs, not a backlog of them.
   */
  function enqueue(): void {
    const [first, ...others] = committed;
    if (first === undefined || adding !== undefined) return;
    const batches = committed.map(({ batch }) => batch);
    const events = committed.reduce((sum, one) => sum + one.events, 0);
    committed = [];
    const span = {
      attributes: { "penstock.batch": first.batch },
      parent: contextOf(first.span, newTrace),
      links: others.map((other) => other.span.spanContext()),
    };
    const job = withSpan("enqueue batch", span, () => queue.add([batches])).catch((error: unknown) => {
      // Not lost: the sweep finds the batches in `pending`.
      sayQueueAway(() => {
        log.warn({ batches, err: error }, "queue is away, events are kept in Postgres and enqueued when it is back");
      });
    });
    const spacingMs = events < BUSY_EVENTS ? JOB_SPACING_MS : BUSY_SPACING_MS;
    adding = Promise.all([job, delay(closing ? 0 : spacingMs)]).then(added);
  }

  function added(): void {
    adding = undefined;
    enqueue();
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

/** A batch that is on disk, and the span of its commit. */
interface Committed {
  readonly batch: number;
  readonly events: number;
  readonly span: Span;
}

function startEventSpan({ source, identity: { id, type } }: VerifiedEvent): Span {
  const span = startSpan("accept event");
  if (span.isRecording()) {
    span.setAttributes(eventAttributes({ source, eventId: id === null ? null : forDisplay(id), type }));
  }
  return span;
}

function batchSpan(batch: readonly Waiting[]): SpanOptions {
  return {
    parent: newTrace,
    attributes: { "messaging.batch.message_count": batch.length },
    links: isTracing() ? batch.map(({ span }) => span.spanContext()) : [],
  };
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
