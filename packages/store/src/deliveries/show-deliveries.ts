import { query, type Store } from "../connection/create-store.ts";
import { type DeliveryRow, listDeliveries } from "./list-deliveries.ts";
import { type LaneRow, listLanes } from "./list-lanes.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";

/** One attempt of a delivery, or what an operator or a lane did between attempts; times as ISO 8601. */
export interface AttemptRow {
  /** The attempt's number; for an entry of an operator or a lane, the number of attempts so far. */
  readonly attempt: number;
  /** Null where the start is unknown: for a first success, and for an entry that is no attempt. */
  readonly startedAt: string | null;
  readonly endedAt: string;
  /** `succeeded`, `failed`, `timed-out`, `interrupted`; or `retried`, `skipped`, `cancelled`. */
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  /** The worker; for an entry of an operator, the command. Null where it is unknown. */
  readonly worker: string | null;
  readonly traceparent: string | null;
  /** The replay that ran the attempt. */
  readonly replay: string | null;
  /** Why the delivery was skipped; null when an operator skipped it. */
  readonly note: string | null;
}

/** A delivery with all its attempts. */
export interface DeliveryDetail extends DeliveryRow {
  /** The event's `traceparent`; null without one. */
  readonly traceparent: string | null;
  /** Since when the handler or endpoint is paused; null when it is not. */
  readonly handlerPausedAt: string | null;
  /** The head of the delivery's lane, which has to run before; null without a lane, and for the head itself. */
  readonly waitsFor: LaneRow["head"] | null;
  /** Oldest first. */
  readonly attemptLog: readonly AttemptRow[];
}

const ofEvents = sql`day = ANY(${{ days: "date[]" }}) AND seq = ANY(${{ seqs: "int8[]" }})`;

const TRACEPARENTS = statement({
  rows: { seq: "int8", traceparent: "text?" },
  text: sql`SELECT seq, traceparent FROM penstock.events WHERE ${ofEvents}`,
});

const ATTEMPTS = statement({
  rows: {
    seq: "int8",
    subscriber: "text",
    attempt: "int2",
    startedAt: "timestamptz",
    endedAt: "timestamptz",
    outcome: "text",
    errorClass: "text?",
    errorMessage: "text?",
    worker: "text",
    traceparent: "text?",
    replay: "text?",
    note: "text?",
  },
  text: sql`
    SELECT seq, subscriber, attempt, started_at AS "startedAt", ended_at AS "endedAt", outcome,
           error_class AS "errorClass", error_message AS "errorMessage", worker, traceparent, replay_id AS replay, note
      FROM penstock.attempts WHERE ${ofEvents}
     ORDER BY ended_at, started_at, attempt`,
});

const PAUSED = statement({
  rows: { name: "text", paused_at: "timestamptz?" },
  text: sql`SELECT name, paused_at FROM penstock.handlers WHERE name = ANY(${{ names: "text[]" }})`,
});

/** The deliveries of an event (by its id or its seq), to one handler or to all, with all their attempts. */
export async function showDeliveries(
  store: Store,
  { event, handler }: { readonly event: string; readonly handler?: string },
): Promise<DeliveryDetail[]> {
  const deliveries = await listDeliveries(
    store,
    { event, ...(handler !== undefined && { handler }) },
    { limit: 1_000 },
  );
  const key = { days: deliveries.map(({ day }) => day), seqs: deliveries.map(({ seq }) => seq) };
  const { rows: events } = await query(store.pool, TRACEPARENTS, key);
  const { rows: attempts } = await query(store.pool, ATTEMPTS, key);
  const { rows: subscribers } = await query(store.pool, PAUSED, {
    names: deliveries.map(({ subscriber }) => subscriber),
  });
  const heads: (LaneRow["head"] | null)[] = [];
  for (const delivery of deliveries) heads.push(await headBefore(store, delivery));
  return deliveries.map((delivery, at) => ({
    ...delivery,
    handlerPausedAt: subscribers.find(({ name }) => name === delivery.subscriber)?.paused_at?.toISOString() ?? null,
    waitsFor: heads[at] ?? null,
    traceparent: events.find(({ seq }) => Number(seq) === delivery.seq)?.traceparent ?? null,
    attemptLog: withEnd(
      delivery,
      attempts
        .filter(({ seq, subscriber }) => Number(seq) === delivery.seq && subscriber === delivery.subscriber)
        .map(toAttempt),
    ),
  }));
}

async function headBefore(
  store: Store,
  { seq, subscriber, lane, state }: DeliveryRow,
): Promise<LaneRow["head"] | null> {
  if (lane === null || !(state === "pending" || state === "retrying")) return null;
  const [found] = await listLanes(store, { handler: subscriber, lane }, 1);
  return found === undefined || found.head.seq === seq ? null : found.head;
}

/** Whether an entry is an attempt, and not what an operator or a lane did. */
export function isTry({ outcome }: Pick<AttemptRow, "outcome">): boolean {
  return !["retried", "skipped", "cancelled"].includes(outcome);
}

/** Whether the start of an entry is known. Without a worker it is not, unless the attempt was interrupted. */
export function hasStart({ outcome, worker }: { readonly outcome: string; readonly worker: string }): boolean {
  return isTry({ outcome }) && (worker !== "" || outcome === "interrupted");
}

function toAttempt(row: RowOf<typeof ATTEMPTS>): AttemptRow {
  const { seq: _seq, subscriber: _subscriber, startedAt, endedAt, worker, ...attempt } = row;
  return {
    ...attempt,
    startedAt: hasStart({ ...attempt, worker }) ? startedAt.toISOString() : null,
    endedAt: endedAt.toISOString(),
    worker: worker === "" ? null : worker,
  };
}

/** Adds the end of a delivery that has no entry: a first success, or a delivery that a lane skipped. */
function withEnd(delivery: DeliveryRow, log: readonly AttemptRow[]): readonly AttemptRow[] {
  const { state, attempts, changedAt, replay, skipReason } = delivery;
  const hasEnded = ["succeeded", "skipped", "cancelled"].includes(state);
  if (!hasEnded || log.some(({ endedAt }) => endedAt >= changedAt)) return log;
  const end = { attempt: attempts, startedAt: null, endedAt: changedAt, outcome: state, worker: null, replay };
  return [...log, { ...end, errorClass: null, errorMessage: null, traceparent: null, note: skipReason }];
}
