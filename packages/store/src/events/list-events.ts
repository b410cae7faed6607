import { toStorableText } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { type DeliveryFilter, eventMatches, since, toEventValues, until } from "../deliveries/delivery-filter.ts";
import { findEvents, readIdOrSeq } from "./find-events.ts";
import { readBody, readEvents } from "./read-events.ts";
import { type HeldBy, nextAttemptOf, subscriberOf } from "../deliveries/held-by.ts";
import { column, type RowOf, type Sql, sql, statement } from "../connection/sql.ts";

/** What a subscriber made of an event. */
export interface DeliverySummary {
  readonly subscriber: string;
  readonly state: string;
  readonly attempts: number;
  readonly nextAttemptAt: string | null;
  /** What keeps it from being started though it is due; null while nothing does. */
  readonly heldBy: HeldBy | null;
  /** Whether its lane had applied a newer event before. */
  readonly late: boolean;
}

/** An event as the CLI and the console show it: everything but the body. */
export interface EventSummary {
  readonly seq: number;
  /** Day of receipt, `YYYY-MM-DD`. */
  readonly day: string;
  readonly source: string;
  readonly id: string | null;
  readonly type: string | null;
  /** pending: not processed yet; processed: every handler has a delivery; quarantined: could not be understood. */
  readonly status: "pending" | "processed" | "quarantined";
  readonly receivedAt: string;
  readonly createdAt: string | null;
  readonly bytes: number;
  readonly quarantine: {
    readonly reason: string;
    readonly detail: string | null;
    /** When an operator said that it is dealt with; null when nobody has. */
    readonly dismissedAt: string | null;
  } | null;
  /** Of an event in quarantine: the newest that a replay made of it, with another body. */
  readonly mendedBy: { readonly seq: number; readonly id: string | null } | null;
  readonly deliveries: readonly DeliverySummary[];
  /** Of an event that was not received but made by a replay, with another body: by which, and of which event (its seq). */
  readonly madeBy: { readonly replay: string; readonly of: number } | null;
}

/** Which events are meant. With a handler or a state, those that have such a delivery. */
export interface EventFilter extends DeliveryFilter {
  readonly limit?: number;
  readonly status?: EventSummary["status"];
  /** Of those in quarantine, only what nobody has dismissed. */
  readonly open?: boolean;
  /** Only events before this one: the last of the page before. */
  readonly before?: { readonly day: string; readonly seq: number };
}

/** Bodies are shown whole. */
const MOST_SHOWN = 20;
/** Of an id; see intake. */
const SHOWN_CHARACTERS = 256;
const NO_BODY = Buffer.alloc(0);

const SUMMARY_ROW = {
  seq: "int8",
  day: "text",
  source: "text",
  event_id: "text?",
  type: "text?",
  received_at: "timestamptz",
  created_at: "timestamptz?",
  bytes: "int4",
  reason: "text?",
  detail: "text?",
  dismissed_at: "timestamptz?",
  replay_id: "text?",
  replay_of: "int8?",
  mended_by: column<EventSummary["mendedBy"]>("jsonb"),
  status: column<EventSummary["status"]>("text"),
  deliveries: column<DeliverySummary[]>("jsonb"),
} as const;
const SUMMARY = `
  e.seq, e.day::text, e.source, e.event_id, e.type, e.received_at, e.created_at, e.body_bytes AS bytes,
  q.reason, q.detail, q.dismissed_at, e.replay_id, e.replay_of,
  CASE WHEN q.seq IS NOT NULL THEN (
    SELECT jsonb_build_object('seq', m.seq, 'id', m.event_id) FROM penstock.events m
     WHERE m.replay_of = e.seq AND m.day >= e.day ORDER BY m.seq DESC LIMIT 1) END AS mended_by,
  CASE WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END AS status,
  coalesce((SELECT jsonb_agg(jsonb_build_object('subscriber', d.subscriber, 'state', d.state, 'attempts', d.attempts,
                                                'nextAttemptAt', ${nextAttemptOf("d", "s")}, 'heldBy', s.held_by,
                                                'late', d.late) ORDER BY d.subscriber)
              FROM penstock.deliveries d LEFT JOIN LATERAL ${subscriberOf("d.subscriber")} AS s ON true
             WHERE d.day = e.day AND d.seq = e.seq), '[]') AS deliveries`;

const EVENTS = "penstock.events e";
// Row by row, by LIMIT: the planner takes day and seq for independent of each other, expects next to no rows of a join on
// both, and would read whole tables for them.
const STATUS_JOIN = `
  LEFT JOIN LATERAL (SELECT * FROM penstock.quarantine WHERE day = e.day AND seq = e.seq LIMIT 1) AS q ON true`;

const handler = { handler: "text?" } as const;
const state = { state: "text?" } as const;
const beforeDay = { beforeDay: "date?" } as const;
const status = { status: "text?" } as const;

interface Look {
  readonly from: Sql;
  /** The table that leads. */
  readonly key: "e" | "k";
  /** The condition on deliveries. */
  readonly deliveries: Sql;
}

const listOf = ({ from, key, deliveries }: Look) =>
  statement({
    rows: SUMMARY_ROW,
    text: sql`
      SELECT ${SUMMARY} FROM ${from} ${STATUS_JOIN}
       WHERE ${eventMatches("e")} AND ${deliveries}
         AND (${beforeDay} IS NULL
              OR (${key}.day <= ${beforeDay} AND (${key}.day, ${key}.seq) < (${beforeDay}, ${{ beforeSeq: "int8?" }})))
         AND (${status} IS NULL OR ${status} = CASE WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END)
       ORDER BY ${key}.day DESC, ${key}.seq DESC LIMIT ${{ limit: "int8" }}`,
  });

// Where they are few, their keys come first: to look at each event whether it is one of them is to read them all.
const by = (keys: Sql): Sql => sql`
  (${keys} ORDER BY day DESC, seq DESC) AS k
  CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = k.day AND seq = k.seq LIMIT 1) AS e`;
const UNASKED = sql`${handler} IS NULL AND ${state} IS NULL`;
const OF_DELIVERY = sql`(${handler} IS NULL OR d.subscriber = ${handler}) AND (${state} IS NULL OR d.state = ${state})`;

// Those in quarantine have no deliveries: of a handler are those that it would get.
const inQuarantine = (which: string) => {
  const look = { from: by(sql`SELECT day, seq FROM penstock.quarantine ${which}`), key: "k" } as const;
  const wanted = sql`e.type = ANY((SELECT types FROM penstock.handlers WHERE name = ${handler})::text[]) AND ${state} IS NULL`;
  const exists = sql`EXISTS (SELECT FROM penstock.deliveries d WHERE d.day = e.day AND d.seq = e.seq AND ${OF_DELIVERY})`;
  return {
    all: listOf({ ...look, deliveries: UNASKED }),
    ofHandler: listOf({ ...look, deliveries: wanted }),
    ofState: listOf({ ...look, deliveries: exists }),
  };
};

/** By where to look first. */
const LIST = {
  events: listOf({ from: sql`${EVENTS}`, key: "e", deliveries: UNASKED }),
  ofDeliveries: listOf({
    from: by(sql`
      SELECT DISTINCT day, seq FROM penstock.deliveries d
       WHERE ${OF_DELIVERY}
         AND (${since} IS NULL OR d.day >= (${since} AT TIME ZONE 'UTC')::date)
         AND (${until} IS NULL OR d.day <= (${until} AT TIME ZONE 'UTC')::date)`),
    key: "k",
    deliveries: sql`true`,
  }),
  quarantined: inQuarantine(""),
  inOpenQuarantine: inQuarantine("WHERE dismissed_at IS NULL"),
};

function listFor({ handler, state, status, open }: EventFilter) {
  const isOfAny = handler === undefined && state === undefined;
  if (status !== "quarantined") return isOfAny ? LIST.events : LIST.ofDeliveries;
  const list = open ? LIST.inOpenQuarantine : LIST.quarantined;
  return isOfAny ? list.all : state === undefined ? list.ofHandler : list.ofState;
}

/**
 * The events that match, the newest first. Pages by (day, seq), the order of the primary key: a page costs the same
 * wherever it lies.
 */
export async function listEvents(store: Store, filter: EventFilter = {}): Promise<EventSummary[]> {
  // In this order: what is processed in between is found twice, and not missed.
  const waiting = await listWaiting(store, filter);
  const processed = filter.status === "pending" ? [] : await listProcessed(store, filter);
  const seqs = new Set(processed.map(({ seq }) => seq));
  return [...processed, ...waiting.filter(({ seq }) => !seqs.has(seq))]
    .toSorted((a, b) => (a.day === b.day ? b.seq - a.seq : a.day < b.day ? 1 : -1))
    .slice(0, filter.limit ?? 20);
}

async function listProcessed(store: Store, filter: EventFilter): Promise<EventSummary[]> {
  const { handler, state, before, status, limit = 20 } = filter;
  const cursor = { beforeDay: before?.day, beforeSeq: before?.seq };
  const values = { ...(await toEventValues(store, filter)), handler, state, status, ...cursor, limit };
  const { rows } = await query(store.pool, listFor(filter), values);
  return rows.map(toSummary);
}

// Batch by batch, the newest first, until there are enough: the nested loop keeps that order. Rows are made without their
// bodies, which would be read, too, however large they are.
const source = { source: "text?" } as const;
const type = { type: "text?" } as const;
const subject = { subject: "text?" } as const;
const id = { id: "text?" } as const;
const seq = { seq: "int8?" } as const;
const before = { before: "int8?" } as const;

const WAITING = statement({
  rows: {
    seq: "int8",
    day: "text",
    source: "text",
    event_id: "text?",
    type: "text?",
    status: column<"pending">("text"),
    received_at: "timestamptz",
    created_at: "timestamptz?",
    bytes: "int4",
    body_at: "int4",
    traceparent: "text?",
    replay_id: "text?",
    replay_of: "int8?",
  },
  text: sql`
    SELECT e.seq, e.day::text, e.source, e.event_id, e.type, 'pending' AS status, e.received_at, e.created_at,
           e.body_bytes AS bytes, e.body_at, e.traceparent, e.replay_id, e.replay_of
      FROM (SELECT day, batch FROM penstock.pending
             WHERE ${before} IS NULL OR batch <= ${before} / 1024 ORDER BY batch DESC) AS p,
           LATERAL (SELECT ROW(day, batch, received_at, events, meta, ''::bytea)::penstock.batches AS b
                      FROM penstock.batches WHERE day = p.day AND batch = p.batch LIMIT 1) AS b,
           LATERAL (SELECT * FROM penstock.events_of(b.b) ORDER BY seq DESC) AS e
     WHERE (${source} IS NULL OR e.source = ${source}) AND (${type} IS NULL OR e.type = ${type})
       AND (${since} IS NULL OR e.received_at >= ${since}) AND (${until} IS NULL OR e.received_at < ${until})
       AND (${subject} IS NULL OR e.subjects @> ARRAY[${subject}]) AND (${id} IS NULL OR e.event_id = ${id})
       AND (${seq} IS NULL OR e.seq = ${seq}) AND (${before} IS NULL OR e.seq < ${before})
     LIMIT ${{ limit: "int8" }}`,
});

type WaitingRow = RowOf<typeof WAITING>;

/** Events that match in batches that nobody has processed, the newest first; of copies nobody knows yet that they are. */
async function findWaiting(store: Store, filter: EventFilter): Promise<WaitingRow[]> {
  const { source, type, since, until, subject, event, before, limit = 20 } = filter;
  if (filter.handler !== undefined || filter.state !== undefined) return []; // they have no deliveries
  if (filter.status !== undefined && filter.status !== "pending") return [];
  const { id, seq } = event === undefined ? {} : readIdOrSeq(event);
  const find = async (of: { id?: string | undefined; seq?: number | undefined }): Promise<WaitingRow[]> => {
    const named = { id: of.id === undefined ? null : toStorableText(of.id.slice(0, SHOWN_CHARACTERS)), seq: of.seq };
    const values = { source, type, since, until, subject, ...named, before: before?.seq, limit };
    return (await query(store.pool, WAITING, values)).rows;
  };
  const found = await find(id === undefined ? { seq } : { id });
  return found.length === 0 && id !== undefined && seq !== undefined ? find({ seq }) : found;
}

async function listWaiting(store: Store, filter: EventFilter): Promise<EventSummary[]> {
  return (await findWaiting(store, filter)).map(toWaiting);
}

function toWaiting(row: WaitingRow): EventSummary {
  return toSummary({ ...row, reason: null, detail: null, dismissed_at: null, mended_by: null, deliveries: [] });
}

/** An attempt that is worth a row: all but a first success, and what operators did in between; see AttemptRow. */
export interface AttemptSummary {
  readonly subscriber: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly worker: string;
  readonly replay: string | null;
}

/** One event whole: its summary, the attempts of its deliveries and its exact body. */
export interface EventDetail extends EventSummary {
  readonly attempts: readonly AttemptSummary[];
  readonly traceparent: string | null;
  readonly body: Buffer;
}

const SHOW = statement({
  rows: { ...SUMMARY_ROW, traceparent: "text?", attempts: column<AttemptSummary[]>("jsonb") },
  text: sql`
    SELECT ${SUMMARY}, e.traceparent,
           coalesce((SELECT jsonb_agg(jsonb_build_object(
                              'subscriber', a.subscriber, 'attempt', a.attempt, 'startedAt', a.started_at,
                              'endedAt', a.ended_at, 'outcome', a.outcome, 'errorClass', a.error_class,
                              'errorMessage', a.error_message, 'worker', a.worker, 'replay', a.replay_id)
                            ORDER BY a.ended_at, a.started_at)
                       FROM penstock.attempts a WHERE a.day = e.day AND a.seq = e.seq), '[]') AS attempts
      FROM ${EVENTS} ${STATUS_JOIN}
     WHERE e.day = ANY(${{ days: "date[]" }}) AND e.seq = ANY(${{ seqs: "int8[]" }}) ORDER BY e.seq`,
});

/** Events with this id, or the one with this seq, oldest first; see {@link findEvents}. */
export async function showEvents(store: Store, idOrSeq: string): Promise<EventDetail[]> {
  const waiting = await findWaiting(store, { event: idOrSeq, limit: MOST_SHOWN });
  const found = (await findEvents(store, idOrSeq)).slice(-MOST_SHOWN);
  const { rows } = await query(store.pool, SHOW, {
    days: found.map(({ day }) => day),
    seqs: found.map(({ seq }) => seq),
  });
  const bodies = new Map((await readEvents(store.pool, found)).map(({ seq, body }) => [seq, body]));
  const details = rows.map((row): EventDetail => {
    const { attempts, traceparent } = row;
    return { ...toSummary(row), attempts, traceparent, body: bodies.get(Number(row.seq)) ?? NO_BODY };
  });
  const processed = new Set(details.map(({ seq }) => seq));
  for (const row of waiting) {
    if (processed.has(Number(row.seq))) continue;
    const body = await readBody(store.pool, row);
    details.push({ ...toWaiting(row), attempts: [], traceparent: row.traceparent, body });
  }
  return details.toSorted((a, b) => a.seq - b.seq);
}

function toSummary(row: RowOf<typeof LIST.events>): EventSummary {
  return {
    seq: Number(row.seq),
    day: row.day,
    source: row.source,
    id: row.event_id,
    type: row.type,
    status: row.status,
    receivedAt: row.received_at.toISOString(),
    createdAt: row.created_at?.toISOString() ?? null,
    bytes: row.bytes,
    quarantine:
      row.reason === null
        ? null
        : { reason: row.reason, detail: row.detail, dismissedAt: row.dismissed_at?.toISOString() ?? null },
    mendedBy: row.mended_by,
    deliveries: row.deliveries,
    madeBy: row.replay_id === null ? null : { replay: row.replay_id, of: Number(row.replay_of) },
  };
}
