import type { EngineTransaction, ReplayPage } from "@penstock/engine";
import { toStorableText } from "@penstock/schemas";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { eventMatches, NOT_ERASED } from "../deliveries/delivery-filter.ts";
import { isMeant, wantsType } from "./replayed-subscribers.ts";
import { recordEnd } from "../deliveries/record-end.ts";
import { PARTITION_DAYS } from "../schema/partitions.ts";
import { column, type RowOf, type Sql, sql, statement } from "../connection/sql.ts";

/** Backpressure: the most deliveries of one replay that wait or run, so that live deliveries do not wait long behind them. */
const MOST_WAITING = 500;
/** How many rows one page reads, matching or not: a page takes milliseconds, whatever the filter. */
const SCAN = 2_000;
/** The pause of a replay that can hand out nothing now: its deliveries are as many as may wait, or the last ones have to end. */
const REST_MS = 400;
/** A rate is kept in pieces of a second, not in one burst for each. */
const PAGES_PER_SECOND = 5;

// One worker locks a replay, and others skip it. The deliveries of a page and the cursor commit together.
const TAKE = statement({
  name: "penstock-take-replay",
  rows: { id: "text" },
  text: sql`
    SELECT id FROM penstock.replays
     WHERE status = 'running' AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
});

// A statement of its own, after the lock: the snapshot of the locking statement may be from before the lock.
const READ = statement({
  name: "penstock-read-replay",
  rows: {
    id: "text",
    source: "text?",
    type: "text?",
    since: "timestamptz?",
    until: "timestamptz?",
    subject: "text?",
    event_day: "text?",
    event_seq: "int8?",
    handler: "text?",
    state: "text?",
    among: column<"missing" | "quarantined" | null>("text"),
    issue: "int4?",
    again: "bool",
    rate: "int4?",
    cursor_seq: "int8?",
    cursor_subscriber: "text?",
    exhausted: "bool",
    // The day of the cursor and the next day with a partition; empty when the replay is through.
    days: "text[]",
    waiting: "int4",
    retrying: "bool",
    unprocessed: "bool",
    handlers: "int4",
  },
  text: sql`
    SELECT id, source, type, since, until, subject, event_day::text, event_seq, handler, state, among, issue, again, rate,
           cursor_seq, cursor_subscriber, exhausted,
           ARRAY(SELECT day::text FROM (${PARTITION_DAYS}) AS partition
                  WHERE day >= coalesce(cursor_day, event_day, (since AT TIME ZONE 'UTC')::date, '-infinity')
                    AND day <= least(event_day, (until AT TIME ZONE 'UTC')::date, (created_at AT TIME ZONE 'UTC')::date)
                  ORDER BY day LIMIT 2) AS days,
           (SELECT count(*)::int FROM (SELECT FROM penstock.deliveries d
                                        WHERE d.replay_id = r.id AND d.state IN ('pending', 'running') LIMIT ${MOST_WAITING}) AS w) AS waiting,
           EXISTS (SELECT FROM penstock.deliveries d WHERE d.replay_id = r.id AND d.state = 'retrying') AS retrying,
           EXISTS (SELECT FROM penstock.pending p WHERE p.batch = r.body_seq / 1024)
             OR EXISTS (SELECT FROM penstock.deliveries d
                         WHERE d.day = (r.created_at AT TIME ZONE 'UTC')::date AND d.seq = r.body_seq
                           AND d.state IN ('pending', 'running', 'retrying')) AS unprocessed,
           (SELECT count(*)::int FROM penstock.handlers h WHERE ${isMeant("r.handler", "h")}) AS handlers
      FROM penstock.replays r WHERE id = ${{ id: "text" }}`,
});

type ReplayRow = RowOf<typeof READ>;

const id = { id: "text" } as const;

const END = statement({
  text: sql`UPDATE penstock.replays SET status = 'done', ended_at = now() WHERE id = ${id}`,
});

const EXHAUST = statement({ text: sql`UPDATE penstock.replays SET exhausted = true WHERE id = ${id}` });

const REST = statement({
  text: sql`
    UPDATE penstock.replays SET due_at = now() + make_interval(secs => ${{ restMs: "float8" }} / 1000) WHERE id = ${id}`,
});

/** Locks a replay that is due and hands out its next deliveries; see EngineTransaction.nextReplayPage. */
export async function nextReplayPage(client: pg.PoolClient): Promise<ReplayPage | null> {
  const [taken] = (await query(client, TAKE)).rows;
  const [replay] = taken ? (await query(client, READ, taken)).rows : [];
  if (replay === undefined) return null;
  if (replay.exhausted && replay.waiting === 0 && !replay.retrying && !replay.unprocessed) {
    await query(client, END, { id: replay.id });
    return { id: replay.id, quarantined: [] };
  }
  if (!replay.exhausted && replay.days.length === 0) {
    await query(client, EXHAUST, { id: replay.id });
    return { id: replay.id, quarantined: [] };
  }
  const room = Math.min(
    MOST_WAITING - replay.waiting,
    replay.rate === null ? Infinity : Math.ceil(replay.rate / PAGES_PER_SECOND),
  );
  if (replay.exhausted || room <= 0) {
    await query(client, REST, { id: replay.id, restMs: REST_MS });
    return { id: replay.id, quarantined: [] };
  }
  return handOut(client, replay, room);
}

const seqs = { seqs: "int8[]?" } as const;
const handler = sql`${{ handler: "text?" }}`;
const state = { state: "text?" } as const;
const among = { among: "text?" } as const;
const day = { day: "date?" } as const;
const nextDay = { nextDay: "date?" } as const;
const cursorSeq = { cursorSeq: "int8?" } as const;
const events = { events: "int8" } as const;

interface Look {
  readonly from: string | Sql;
  /** A condition on each row that is read, where no index serves it. */
  readonly matches: string | Sql;
  readonly order: string;
  /** Where the page before ended, in that order. */
  readonly cursor: Sql;
  /** Which handlers get a row. */
  readonly subscribers: Sql;
}

const WANTED = sql`d.state = ${state} AND (${handler} IS NULL OR d.subscriber = ${handler})`;
const EVENT = "CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e";
const QUARANTINE = "(SELECT *, '' AS subscriber FROM penstock.quarantine) d";
const ofDeliveries = {
  order: "d.seq, d.subscriber",
  cursor: sql`${{ cursorSeq: "int8?", cursorSubscriber: "text?" }}`,
  subscribers: sql`h.name = p.subscriber`,
};
const OF_ISSUE = sql`d.issue = ${{ issue: "int4?" }}`;
const ofEvents = { matches: "true", order: "d.seq", cursor: sql`${cursorSeq}`, subscribers: wantsType("p.type", "h") };

/**
 * What a page reads: the deliveries in a state, the quarantine, or all events; each in the order of an index, and day by day. With a
 * cursor of day and seq, the planner would expect next to no rows after it.
 */
const LOOKS = {
  deliveries: { ...ofDeliveries, from: sql`penstock.deliveries d ${EVENT} WHERE ${WANTED}`, matches: "true" },
  ofIssue: {
    ...ofDeliveries,
    from: sql`penstock.deliveries d ${EVENT} WHERE ${OF_ISSUE} AND ${WANTED}`,
    matches: "true",
  },
  // No index has successes.
  succeeded: { ...ofDeliveries, from: `penstock.deliveries d ${EVENT} WHERE true`, matches: WANTED },
  quarantined: {
    ...ofEvents,
    from: sql`${QUARANTINE} ${EVENT} WHERE (d.dismissed_at IS NULL OR ${seqs} IS NOT NULL)`,
  },
  quarantinedOfIssue: { ...ofEvents, from: sql`${QUARANTINE} ${EVENT} WHERE ${OF_ISSUE} AND d.dismissed_at IS NULL` },
  events: {
    ...ofEvents,
    from: "(SELECT *, '' AS subscriber FROM penstock.events) d CROSS JOIN LATERAL (SELECT d.*) AS e WHERE true",
  },
} as const satisfies Record<string, Look>;

// The state of a handler's delivery of an event of the page; null when there is none.
const STATE =
  "(SELECT o.state FROM penstock.deliveries o WHERE o.day = p.day AND o.seq = p.seq AND o.subscriber = h.name)";

// An event with an xid that this server has not come to was restored from a dump of another one, and so was there before.
const WAS_THERE = `
  (pg_visible_in_snapshot(e.xid, (SELECT seen FROM replay)) OR e.xid >= pg_snapshot_xmax(pg_current_snapshot()))`;

const handOutOf = (look: Look) =>
  statement({
    rows: {
      matched: "int4",
      enqueued: "int4",
      quarantined: column<{ day: string; seq: number }[] | null>("jsonb"),
    },
    text: sql`
      WITH replay AS (SELECT * FROM penstock.replays WHERE id = ${id}
      ), scanned AS MATERIALIZED (
        SELECT d.day, d.seq, d.subscriber, e.type,
               (${look.matches} AND ${eventMatches("e")} AND ${NOT_ERASED} AND ${WAS_THERE}) AS matches
          FROM ${look.from}
           AND d.day = ${day} AND (${seqs} IS NULL OR d.seq = ANY(${seqs}))
           AND (${cursorSeq} IS NULL OR (${look.order}) > (${look.cursor}))
         ORDER BY ${look.order} LIMIT ${SCAN}
      ), page AS MATERIALIZED (
        SELECT s.*, q.seq IS NOT NULL AS quarantined
          FROM (SELECT * FROM scanned WHERE matches ORDER BY seq, subscriber LIMIT ${events}) AS s
               -- Row by row, by LIMIT: this table can be large, and a page is not.
               LEFT JOIN LATERAL (SELECT seq FROM penstock.quarantine WHERE day = s.day AND seq = s.seq LIMIT 1) AS q ON true
      ), kept AS MATERIALIZED (
        SELECT p.day, p.seq FROM page p
         WHERE p.quarantined AND (${among} = 'quarantined' OR ${seqs} IS NOT NULL AND coalesce(${handler}, ${state}, ${among}) IS NULL)
      ), wanted AS MATERIALIZED (
        SELECT p.day, p.seq, h.name AS subscriber
          FROM page p JOIN penstock.handlers h ON ${look.subscribers}
         WHERE ${isMeant(handler, "h")} AND NOT p.quarantined
           AND CASE WHEN ${among} = 'missing' THEN ${STATE} IS NULL
                    WHEN ${state} IS NULL THEN ${STATE} NOT IN ('skipped', 'cancelled') ELSE true END
      ), taken AS (
        UPDATE penstock.deliveries d
           SET state = 'pending', attempts = 0, interruptions = 0, next_attempt_at = now(), changed_at = now(),
               replay_id = ${id}, replayed_from = d.state, generation = d.generation + ${{ again: "bool" }}::int
          FROM wanted w
         WHERE d.day = w.day AND d.seq = w.seq AND d.subscriber = w.subscriber
           AND d.state IN ('succeeded', 'dead', 'skipped', 'cancelled')
        RETURNING d.day, d.seq, d.subscriber
      ), ends AS (${recordEnd(`taken t CROSS JOIN LATERAL (
                               SELECT * FROM penstock.deliveries
                                WHERE day = t.day AND seq = t.seq AND subscriber = t.subscriber LIMIT 1) AS d`)}
      ), made AS (
        INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at, replay_id)
        SELECT w.day, w.seq, w.subscriber, 'pending', now(), ${id} FROM wanted w
         WHERE ${among} = 'missing'
            ON CONFLICT DO NOTHING
        RETURNING 1
      ), counted AS (
        SELECT (SELECT count(*) FROM wanted) AS matched,
               (SELECT count(*) FROM taken) + (SELECT count(*) FROM made) AS enqueued,
               -- Cut short by the room that there is, else by how many rows were looked at, else by nothing.
               (SELECT count(*) FROM page) = ${events} AS full_page, (SELECT count(*) FROM scanned) = ${SCAN} AS more
      ), advanced AS (
        UPDATE penstock.replays r
           SET matched = r.matched + c.matched, enqueued = r.enqueued + c.enqueued,
               cursor_day = CASE WHEN c.goes_on THEN ${day} ELSE ${nextDay} END,
               cursor_seq = CASE WHEN c.goes_on THEN at.seq END,
               cursor_subscriber = CASE WHEN c.goes_on THEN at.subscriber END,
               exhausted = NOT c.goes_on AND ${nextDay} IS NULL,
               due_at = now() + make_interval(secs => CASE WHEN r.rate IS NULL THEN 0 ELSE c.enqueued / r.rate::float8 END)
          FROM (SELECT *, full_page OR more AS goes_on FROM counted) AS c LEFT JOIN LATERAL (
                 SELECT seq, subscriber FROM scanned
                  WHERE NOT c.full_page
                     OR (seq, subscriber) <= (SELECT seq, subscriber FROM page ORDER BY seq DESC, subscriber DESC LIMIT 1)
                  ORDER BY seq DESC, subscriber DESC LIMIT 1) AS at ON true
         WHERE r.id = ${id}
      )
      SELECT matched::int, enqueued::int,
             (SELECT jsonb_agg(jsonb_build_object('day', day, 'seq', seq) ORDER BY seq) FROM kept) AS quarantined
        FROM counted`,
  });

const HAND_OUT = {
  deliveries: handOutOf(LOOKS.deliveries),
  succeeded: handOutOf(LOOKS.succeeded),
  ofIssue: handOutOf(LOOKS.ofIssue),
  quarantined: handOutOf(LOOKS.quarantined),
  quarantinedOfIssue: handOutOf(LOOKS.quarantinedOfIssue),
  events: handOutOf(LOOKS.events),
};

async function handOut(client: pg.PoolClient, replay: ReplayRow, room: number): Promise<ReplayPage> {
  const { id, source, type, since, until, subject, handler, state, among, issue, again, event_day, event_seq } = replay;
  const [day, nextDay] = replay.days;
  const values = {
    id,
    source,
    type,
    since,
    until,
    subject,
    handler,
    state,
    among,
    issue,
    again,
    day,
    nextDay,
    seqs: event_seq === null ? null : [event_seq],
    days: event_day === null ? null : [event_day],
    cursorSeq: replay.cursor_seq,
    cursorSubscriber: replay.cursor_subscriber,
    // Each event is a delivery to each handler.
    events: state === null ? Math.max(1, Math.floor(room / Math.max(1, replay.handlers))) : room,
  };
  const { rows } = await query(client, HAND_OUT[lookOf(replay)], values);
  return { id, quarantined: rows[0]?.quarantined ?? [] };
}

function lookOf({ state, among, issue }: ReplayRow): keyof typeof LOOKS {
  if (state === null && among !== "quarantined") return "events";
  if (state === null) return issue === null ? "quarantined" : "quarantinedOfIssue";
  if (issue !== null) return "ofIssue";
  return state === "succeeded" ? "succeeded" : "deliveries";
}

const KEEP = statement({
  text: sql`
    WITH still AS (
      UPDATE penstock.quarantine SET reason = ${{ reason: "text" }}, detail = ${{ detail: "text?" }},
             issue = CASE WHEN reason = ${{ reason: "text" }} THEN issue END
       WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }})
    UPDATE penstock.replays SET matched = matched + 1 WHERE id = ${id}`,
});

const LET_GO = statement({
  text: sql`
    WITH left_it AS (
      DELETE FROM penstock.quarantine WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }} RETURNING day, seq
    ), made AS (
      INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at, replay_id)
      SELECT l.day, l.seq, h.name, 'pending', now(), ${id}
        FROM left_it l JOIN penstock.handlers h ON ${wantsType(sql`${{ type: "text" }}`, "h")}
          ON CONFLICT DO NOTHING
      RETURNING 1
    )
    UPDATE penstock.replays r SET matched = r.matched + m.n, enqueued = r.enqueued + m.n
      FROM (SELECT count(*) AS n FROM made) AS m WHERE r.id = ${id}`,
});

/** Writes the verdict on a quarantined event of a replay; see EngineTransaction.settleQuarantined. */
export async function settleQuarantined(
  client: pg.PoolClient,
  replayId: string,
  { day, seq }: { readonly day: string; readonly seq: number },
  verdict: Parameters<EngineTransaction["settleQuarantined"]>[2],
): Promise<void> {
  if (!verdict.ok) {
    const { reason, detail } = verdict;
    const storable = detail === null ? null : toStorableText(detail);
    await query(client, KEEP, { id: replayId, day, seq, reason, detail: storable });
    return;
  }
  await query(client, LET_GO, { id: replayId, day, seq, type: verdict.type });
}
