import { query, type Store } from "../connection/create-store.ts";
import { type DeliveryRow, listDeliveries } from "./list-deliveries.ts";
import { type LaneRow, listLanes } from "./list-lanes.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";

/** One try of a delivery, or what an operator or a lane did to it in between; times as ISO 8601. */
export interface AttemptRow {
  /** Which try; of what was done to it, how many there had been. */
  readonly attempt: number;
  /** Null where it was not noted: of a first success, and of what is no try. */
  readonly startedAt: string | null;
  readonly endedAt: string;
  /** `succeeded`, `failed`, `timed-out`, `interrupted`; or `retried`, `skipped`, `cancelled`. */
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  /** Of what was done to it, the command; null where it was not noted. */
  readonly worker: string | null;
  readonly traceparent: string | null;
  /** The replay that had it run. */
  readonly replay: string | null;
  /** Why it was skipped, when no operator did. */
  readonly note: string | null;
}

/** A delivery's whole story. */
export interface DeliveryDetail extends DeliveryRow {
  /** Of the event; null when it has none. */
  readonly traceparent: string | null;
  /** Since when its handler or endpoint is paused, so that it is not started; null while it runs. */
  readonly handlerPausedAt: string | null;
  /** What has to be done before it: the head of its lane; null without, and when it is that itself. */
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

/** Whether it is a try, and not what an operator or a lane did to the delivery in between. */
export function isTry({ outcome }: Pick<AttemptRow, "outcome">): boolean {
  return !["retried", "skipped", "cancelled"].includes(outcome);
}

/** Whether it is known when it began: what was kept of a delivery that had no attempt has no worker, nor has a lost one. */
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

/** How it ended, where nothing but the delivery itself says so: a first success, or what a lane skipped. */
function withEnd(delivery: DeliveryRow, log: readonly AttemptRow[]): readonly AttemptRow[] {
  const { state, attempts, changedAt, replay, skipReason } = delivery;
  const hasEnded = ["succeeded", "skipped", "cancelled"].includes(state);
  if (!hasEnded || log.some(({ endedAt }) => endedAt >= changedAt)) return log;
  const end = { attempt: attempts, startedAt: null, endedAt: changedAt, outcome: state, worker: null, replay };
  return [...log, { ...end, errorClass: null, errorMessage: null, traceparent: null, note: skipReason }];
}
