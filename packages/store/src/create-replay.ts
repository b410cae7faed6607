import type { NewEvent } from "@penstock/intake";
import { query, type Store } from "./create-store.ts";
import type { DeliveryFilter } from "./delivery-filter.ts";
import type { EventPointer } from "./find-events.ts";

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
  readonly body?: { readonly event: NewEvent; readonly batchId: string };
}

/** `new`: it runs now. `same`: it was created before. `different`: another one has this id. */
export type ReplayOutcome = "new" | "same" | "different";

// The ledger and pending as intake writes them, in one statement with the replay: all of it is there, or nothing is. The
// xid before the seq, as there.
const CREATE = `
  WITH given AS MATERIALIZED (
    SELECT pg_current_xact_id() AS xid,
           CASE WHEN $16::bytea IS NOT NULL THEN nextval('penstock.event_seq') END AS body_seq
  ), replay AS (
    INSERT INTO penstock.replays (id, request, reason, source, type, since, until, subject, handler, state, event_day,
                                  event_seq, among, again, rate, body_seq, exhausted, matched, enqueued)
    SELECT $1, $2::jsonb, $3, $4, $5, $6::timestamptz, $7::timestamptz, $8, $9, $10, $11::date, $12::bigint, $13, $14, $15,
           body_seq, body_seq IS NOT NULL, (body_seq IS NOT NULL)::int, (body_seq IS NOT NULL)::int
      FROM given
        ON CONFLICT (id) DO NOTHING
    RETURNING id, body_seq
  ), made AS (
    SELECT id, body_seq AS seq, (now() AT TIME ZONE 'UTC')::date AS day FROM replay WHERE body_seq IS NOT NULL
  ), key AS (
    INSERT INTO penstock.event_keys (key, seq, day, body_hash) SELECT $16, seq, day, $17 FROM made
  ), event AS (
    INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, created_at, subjects, problem, body,
                                 replay_id, replay_of, xid)
    SELECT seq, day, now(), $18, $19, $20, $21::timestamptz, $22::text[], NULL, $23::bytea, id, $12::bigint, xid
      FROM made CROSS JOIN given
  ), pending AS (
    INSERT INTO penstock.pending (seq, day, batch_id, bytes, accepted_at)
    SELECT seq, day, $24::uuid, octet_length($23::bytea), now() FROM made
  )
  SELECT FROM replay`;

/** Creates a replay, which workers then run. Once for an id, however often it is asked for. */
export async function createReplay(store: Store, replay: NewReplay): Promise<ReplayOutcome> {
  const { id, request, reason, source, type, since, until, subject, handler, state, event, among, again, rate } =
    replay;
  const made = replay.body?.event;
  const { rowCount } = await query(
    store.pool,
    CREATE,
    [
      id,
      JSON.stringify(request),
      reason,
      source,
      type,
      since,
      until,
      subject,
      handler,
      state,
      event?.day,
      event?.seq,
      among,
      again ?? false,
      rate,
      made && Buffer.from(made.key, "hex"),
      made && Buffer.from(made.bodyHash, "hex"),
      made?.source,
      made?.eventId,
      made?.type,
      made?.createdAt,
      made?.subjects ?? [],
      made?.body,
      replay.body?.batchId,
    ].map((value) => value ?? null),
  );
  if (rowCount === 1) return "new";
  const { rows } = await query<{ same: boolean }>(
    store.pool,
    "SELECT request = $2::jsonb AS same FROM penstock.replays WHERE id = $1",
    [id, JSON.stringify(request)],
  );
  return rows[0]?.same === true ? "same" : "different";
}
