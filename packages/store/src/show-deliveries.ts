import { query, type Store } from "./create-store.ts";
import { type DeliveryRow, listDeliveries } from "./list-deliveries.ts";

/** One try of a delivery; times as ISO 8601. */
export interface AttemptRow {
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly worker: string;
  readonly traceparent: string | null;
}

/** A delivery's whole story. A first success has no attempt: then `changedAt` says when it was. */
export interface DeliveryDetail extends DeliveryRow {
  /** Of the event; null when it has none. */
  readonly traceparent: string | null;
  /** Oldest first. */
  readonly attemptLog: readonly AttemptRow[];
}

interface Row extends Omit<AttemptRow, "startedAt" | "endedAt"> {
  seq: string;
  subscriber: string;
  startedAt: Date;
  endedAt: Date;
}

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
  const key = [deliveries.map(({ day }) => day), deliveries.map(({ seq }) => seq)];
  const { rows: events } = await query<{ seq: string; traceparent: string | null }>(
    store.pool,
    `SELECT seq::text, traceparent FROM penstock.events WHERE day = ANY($1::date[]) AND seq = ANY($2::bigint[])`,
    key,
  );
  const { rows: attempts } = await query<Row>(
    store.pool,
    `SELECT seq::text, subscriber, attempt, started_at AS "startedAt", ended_at AS "endedAt", outcome,
            error_class AS "errorClass", error_message AS "errorMessage", worker, traceparent
       FROM penstock.attempts WHERE day = ANY($1::date[]) AND seq = ANY($2::bigint[]) ORDER BY started_at, attempt`,
    key,
  );
  return deliveries.map((delivery) => ({
    ...delivery,
    traceparent: events.find(({ seq }) => Number(seq) === delivery.seq)?.traceparent ?? null,
    attemptLog: attempts
      .filter(({ seq, subscriber }) => Number(seq) === delivery.seq && subscriber === delivery.subscriber)
      .map(({ seq: _seq, subscriber: _subscriber, startedAt, endedAt, ...attempt }) => ({
        ...attempt,
        startedAt: startedAt.toISOString(),
        endedAt: endedAt.toISOString(),
      })),
  }));
}
