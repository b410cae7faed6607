import type { NewEvent } from "@penstock/intake";
import { BATCH_EVENTS } from "./batch-format.ts";
import { query, type Store } from "./create-store.ts";
import type { DeliveryFilter } from "./delivery-filter.ts";
import type { EventPointer } from "./find-events.ts";
import { insertBatch } from "./insert-batch.ts";
import { transaction } from "./transaction.ts";

/**
 * What a replay takes, and how. Without a state, deliveries that succeeded or are dead: what was skipped or cancelled was so
 * on purpose. Only `missing` makes deliveries that a handler never had.
 */
export interface NewReplay extends Omit<DeliveryFilter, "event"> {
  readonly id: string;
  /** What was asked for, in the words of whoever asked: the same id with another request is refused. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly reason?: string;
  readonly event?: EventPointer;
  /**
   * `missing`: where a handler has no delivery yet, and nowhere else; `quarantined`: events in quarantine, and no others.
   * Without it, one that is named is taken from quarantine, and of many none.
   */
  readonly among?: "missing" | "quarantined";
  /** Whether effects are done again, too. */
  readonly again?: boolean;
  /** Deliveries per second. */
  readonly rate?: number;
  /** An event of its own, made of the one that is replayed, to be processed as a new one. */
  readonly body?: NewEvent;
}

/** `new`: it runs now. `same`: it was created before. `different`: another one has this id. */
export type ReplayOutcome = "new" | "same" | "different";

const CREATE = `
  INSERT INTO penstock.replays (id, request, reason, source, type, since, until, subject, handler, state, event_day,
                                event_seq, among, again, rate)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
      ON CONFLICT (id) DO NOTHING`;

/** It has nothing to hand out: its one event is processed as any other. */
const MADE = `
  UPDATE penstock.replays SET body_seq = $2, exhausted = true, matched = 1, enqueued = 1 WHERE id = $1`;

/** Creates a replay, which workers then run. Once for an id, however often it is asked for. */
export async function createReplay(store: Store, replay: NewReplay): Promise<ReplayOutcome> {
  const { id, request, reason, source, type, since, until, subject, handler, state, event, among, again, rate } =
    replay;
  const values: unknown[] = [id, JSON.stringify(request), reason, source, type, since, until, subject, handler, state];
  values.push(event?.day, event?.seq, among, again ?? false, rate);
  const isNew = await transaction(store, async (client) => {
    const { rowCount } = await query(
      client,
      CREATE,
      values.map((value) => value ?? null),
    );
    if (rowCount === 1 && replay.body !== undefined) {
      const batch = await insertBatch(client, [{ ...replay.body, replay: { id, of: event?.seq ?? 0 } }]);
      await query(client, MADE, [id, batch * BATCH_EVENTS]);
    }
    return rowCount === 1;
  });
  if (isNew) return "new";
  const { rows } = await query<{ same: boolean }>(
    store.pool,
    "SELECT request = $2::jsonb AS same FROM penstock.replays WHERE id = $1",
    [id, JSON.stringify(request)],
  );
  return rows[0]?.same === true ? "same" : "different";
}
