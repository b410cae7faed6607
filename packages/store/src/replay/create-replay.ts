import type { NewEvent } from "@penstock/intake";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import { query, type Store } from "../connection/create-store.ts";
import type { DeliveryFilter } from "../deliveries/delivery-filter.ts";
import type { EventPointer } from "../events/find-events.ts";
import { insertBatch } from "../events/insert-batch.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

/**
 * What a replay takes, and how. Without a state, it takes deliveries that succeeded or are dead, since others were skipped or cancelled
 * on purpose. Only `missing` makes deliveries that a handler never had.
 */
export interface NewReplay extends Omit<DeliveryFilter, "event"> {
  readonly id: string;
  /** The request as it was made. The same id with another request is refused. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly reason?: string;
  readonly event?: EventPointer;
  /**
   * `missing`: only events of which the handler has no delivery yet. `quarantined`: only events in quarantine. Without it, an event
   * that is named is also taken from quarantine, and other quarantined events are not.
   */
  readonly among?: "missing" | "quarantined";
  /** Only what belongs to this issue: dead letters with the state `dead`, or what is in quarantine. */
  readonly issue?: number;
  /** Whether effects are done anew. */
  readonly again?: boolean;
  /** Deliveries per second. */
  readonly rate?: number;
  /** A new event, made of the one that is replayed, to be processed like any other. */
  readonly body?: NewEvent;
}

/** `new`: the replay runs now. `same`: it was created before. `different`: another replay has this id. */
export type ReplayOutcome = "new" | "same" | "different";

const CREATE = statement({
  text: sql`
    INSERT INTO penstock.replays (id, request, reason, source, type, since, until, subject, handler, state, event_day,
                                  event_seq, among, issue, again, rate)
    VALUES (${{ id: "text", request: "jsonb", reason: "text?", source: "text?", type: "text?", since: "timestamptz?" }},
            ${{ until: "timestamptz?", subject: "text?", handler: "text?", state: "text?", day: "date?" }},
            ${{ seq: "int8?", among: "text?", issue: "int4?", again: "bool", rate: "int4?" }})
        ON CONFLICT (id) DO NOTHING`,
});

/** Marks a replay with a body of its own as through: its one event is processed like any other. */
const MADE = statement({
  text: sql`
    UPDATE penstock.replays SET body_seq = ${{ seq: "int8" }}, exhausted = true, matched = 1, enqueued = 1
     WHERE id = ${{ id: "text" }}`,
});

const IS_SAME = statement({
  rows: { same: "bool" },
  text: sql`SELECT request = ${{ request: "jsonb" }} AS same FROM penstock.replays WHERE id = ${{ id: "text" }}`,
});

/**
 * Creates a replay, which workers then run. Once for an id, however often it is asked for. `enqueue` gets the number of the
 * batch that a replay with a body of its own has made, once the batch is committed; without `enqueue` a sweep finds the batch.
 */
export async function createReplay(
  store: Store,
  replay: NewReplay,
  actor: string,
  enqueue: (batch: number) => Promise<void> = () => Promise.resolve(),
): Promise<ReplayOutcome> {
  const { id, reason, source, type, since, until, subject, handler, state, event, among, issue, rate } = replay;
  const request = JSON.stringify(replay.request);
  const filter = {
    source,
    type,
    since,
    until,
    subject,
    handler,
    state,
    day: event?.day,
    seq: event?.seq,
    among,
    issue,
  };
  const again = replay.again ?? false;
  const made = await transaction(store, async (client) => {
    const { rowCount } = await query(client, CREATE, { id, request, reason, ...filter, again, rate });
    if (rowCount !== 1) return null;
    const detail = { ...replay.request, ...(reason !== undefined && { reason }) };
    await recordAudit(client, { actor, action: "replay.create", target: id, detail });
    if (replay.body === undefined) return { batch: null };
    const batch = await insertBatch(client, [{ ...replay.body, replay: { id, of: event?.seq ?? 0 } }]);
    await query(client, MADE, { id, seq: batch * BATCH_EVENTS });
    return { batch };
  });
  if (made !== null) {
    if (made.batch !== null) await enqueue(made.batch);
    return "new";
  }
  const { rows } = await query(store.pool, IS_SAME, { id, request });
  return rows[0]?.same === true ? "same" : "different";
}
