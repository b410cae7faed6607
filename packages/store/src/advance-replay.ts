import type { EngineTransaction, ReplayPage } from "@penstock/engine";
import { toStorableText } from "@penstock/schemas";
import type pg from "pg";
import { query } from "./create-store.ts";
import { eventMatches } from "./delivery-filter.ts";
import { isMeant, wantsType } from "./replayed-subscribers.ts";
import { keepEnd } from "./keep-end.ts";
import { PARTITION_DAYS } from "./partitions.ts";

/** The most deliveries of one replay that wait or run at once, so that live ones have their turn soon. */
const MOST_WAITING = 500;
/** How many rows one page looks at, matching or not: it takes milliseconds, whatever the filter. */
const SCAN = 2_000;
/** How long it waits where nothing can be done now: its deliveries are as many as may wait, or are to end. */
const REST_MS = 400;
/** A rate is kept in pieces of a second, not in one burst for each. */
const PAGES_PER_SECOND = 5;

interface ReplayRow {
  id: string;
  source: string | null;
  type: string | null;
  since: Date | null;
  until: Date | null;
  subject: string | null;
  event_day: string | null;
  event_seq: string | null;
  handler: string | null;
  state: string | null;
  among: "missing" | "quarantined" | null;
  again: boolean;
  rate: number | null;
  /** The day that it is at and the one after that, as far as there are events; none when it is through. */
  days: string[];
  cursor_seq: string | null;
  cursor_subscriber: string | null;
  exhausted: boolean;
  waiting: number;
  retrying: boolean;
  unprocessed: boolean;
  handlers: number;
}

// Locked by whoever tries first; the others go on to the next one. What it hands out and how far it is commit together.
const TAKE = {
  name: "penstock-take-replay",
  text: `
    SELECT id FROM penstock.replays
     WHERE status = 'running' AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
};

// After it was locked, by a statement of its own: one sees what was there when it began, which may be before the lock.
const READ = {
  name: "penstock-read-replay",
  text: `
    SELECT id, source, type, since, until, subject, event_day::text, event_seq::text, handler, state, among, again, rate,
           cursor_seq::text, cursor_subscriber, exhausted,
           ARRAY(SELECT day::text FROM (${PARTITION_DAYS}) AS partition
                  WHERE day >= coalesce(cursor_day, event_day, (since AT TIME ZONE 'UTC')::date, '-infinity')
                    AND day <= least(event_day, (until AT TIME ZONE 'UTC')::date, (created_at AT TIME ZONE 'UTC')::date)
                  ORDER BY day LIMIT 2) AS days,
           (SELECT count(*)::int FROM (SELECT FROM penstock.deliveries d
                                        WHERE d.replay_id = r.id AND d.state IN ('pending', 'running') LIMIT $2) AS w) AS waiting,
           EXISTS (SELECT FROM penstock.deliveries d WHERE d.replay_id = r.id AND d.state = 'retrying') AS retrying,
           EXISTS (SELECT FROM penstock.pending p WHERE p.batch = r.body_seq / 1024)
             OR EXISTS (SELECT FROM penstock.deliveries d
                         WHERE d.day = (r.created_at AT TIME ZONE 'UTC')::date AND d.seq = r.body_seq
                           AND d.state IN ('pending', 'running', 'retrying')) AS unprocessed,
           (SELECT count(*)::int FROM penstock.handlers h WHERE ${isMeant("r.handler", "h")}) AS handlers
      FROM penstock.replays r WHERE id = $1`,
};

/** Takes a replay that is due and hands out its next deliveries; see EngineTransaction.nextReplayPage. */
export async function nextReplayPage(client: pg.PoolClient): Promise<ReplayPage | null> {
  const taken = await query<{ id: string }>(client, TAKE);
  const [replay] = taken.rows[0] ? (await query<ReplayRow>(client, READ, [taken.rows[0].id, MOST_WAITING])).rows : [];
  if (replay === undefined) return null;
  if (replay.exhausted && replay.waiting === 0 && !replay.retrying && !replay.unprocessed) {
    await query(client, "UPDATE penstock.replays SET status = 'done', ended_at = now() WHERE id = $1", [replay.id]);
    return { id: replay.id, quarantined: [] };
  }
  if (!replay.exhausted && replay.days.length === 0) {
    await query(client, "UPDATE penstock.replays SET exhausted = true WHERE id = $1", [replay.id]);
    return { id: replay.id, quarantined: [] };
  }
  const room = Math.min(
    MOST_WAITING - replay.waiting,
    replay.rate === null ? Infinity : Math.ceil(replay.rate / PAGES_PER_SECOND),
  );
  if (replay.exhausted || room <= 0) {
    await query(
      client,
      "UPDATE penstock.replays SET due_at = now() + make_interval(secs => $2::float8 / 1000) WHERE id = $1",
      [replay.id, REST_MS],
    );
    return { id: replay.id, quarantined: [] };
  }
  return handOut(client, replay, room);
}

/**
 * Where it looks: the deliveries that are in a state, the quarantine, or all events; each in the order of an index, and
 * day by day. By day and seq together, the planner would take what comes after a day's cursor for next to nothing. Where no
 * index has what is wanted, as for deliveries that succeeded, `matches` tells it of each row that is looked at.
 */
function lookThrough({ state, among }: ReplayRow): Record<"from" | "matches" | "order" | "cursor", string> {
  const ofEvents = { matches: "true", order: "d.seq", cursor: "d.seq > $10::bigint AND $11::text IS NOT NULL" };
  const event = "CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e";
  if (state !== null) {
    const wanted = "d.state = $13 AND ($12::text IS NULL OR d.subscriber = $12)";
    const indexed = state !== "succeeded";
    return {
      from: `penstock.deliveries d ${event} WHERE ${indexed ? wanted : "true"}`,
      matches: indexed ? "true" : wanted,
      order: "d.seq, d.subscriber",
      cursor: "(d.seq, d.subscriber) > ($10::bigint, $11::text)",
    };
  }
  if (among === "quarantined") {
    return {
      from: `(SELECT *, '' AS subscriber FROM penstock.quarantine) d ${event} WHERE (d.dismissed_at IS NULL OR $6::bigint[] IS NOT NULL)`,
      ...ofEvents,
    };
  }
  const from = "(SELECT *, '' AS subscriber FROM penstock.events) d CROSS JOIN LATERAL (SELECT d.*) AS e WHERE true";
  return { from, ...ofEvents };
}

// What a handler has made of an event of the page; null when it never had it.
const STATE =
  "(SELECT o.state FROM penstock.deliveries o WHERE o.day = p.day AND o.seq = p.seq AND o.subscriber = h.name)";

interface PageRow {
  matched: number;
  enqueued: number;
  quarantined: { day: string; seq: number }[] | null;
}

async function handOut(client: pg.PoolClient, replay: ReplayRow, room: number): Promise<ReplayPage> {
  // An event is a delivery to each handler.
  const events = replay.state === null ? Math.max(1, Math.floor(room / Math.max(1, replay.handlers))) : room;
  const { from, matches, order, cursor } = lookThrough(replay);
  const [day, next] = replay.days;
  const { rows } = await query<PageRow>(
    client,
    `WITH replay AS (SELECT * FROM penstock.replays WHERE id = $8
     ), scanned AS MATERIALIZED (
       SELECT d.day, d.seq, d.subscriber, e.type,
              (${matches} AND ${eventMatches("e")} AND pg_visible_in_snapshot(e.xid, (SELECT seen FROM replay))) AS matches
         FROM ${from}
          AND d.day = $9::date AND ($6::bigint[] IS NULL OR d.seq = ANY($6)) AND ($10::bigint IS NULL OR ${cursor})
        ORDER BY ${order} LIMIT ${SCAN}
     ), page AS MATERIALIZED (
       SELECT s.*, q.seq IS NOT NULL AS quarantined
         FROM (SELECT * FROM scanned WHERE matches ORDER BY seq, subscriber LIMIT $14) AS s
              -- Row by row, by LIMIT: this table can be large, and a page is not.
              LEFT JOIN LATERAL (SELECT seq FROM penstock.quarantine WHERE day = s.day AND seq = s.seq LIMIT 1) AS q ON true
     ), kept AS MATERIALIZED (
       SELECT p.day, p.seq FROM page p
        WHERE p.quarantined AND ($15::text = 'quarantined' OR $6 IS NOT NULL AND coalesce($12, $13, $15) IS NULL)
     ), wanted AS MATERIALIZED (
       SELECT p.day, p.seq, h.name AS subscriber
         FROM page p JOIN penstock.handlers h ON ${replay.state === null ? wantsType("p.type", "h") : "h.name = p.subscriber"}
        WHERE ${isMeant("$12", "h")} AND NOT p.quarantined
          AND CASE WHEN $15 = 'missing' THEN ${STATE} IS NULL
                   WHEN $13 IS NULL THEN ${STATE} NOT IN ('skipped', 'cancelled') ELSE true END
     ), taken AS (
       UPDATE penstock.deliveries d
          SET state = 'pending', attempts = 0, interruptions = 0, next_attempt_at = now(), changed_at = now(),
              replay_id = $8, replayed_from = d.state, generation = d.generation + $16::boolean::int
         FROM wanted w
        WHERE d.day = w.day AND d.seq = w.seq AND d.subscriber = w.subscriber
          AND d.state IN ('succeeded', 'dead', 'skipped', 'cancelled')
       RETURNING d.day, d.seq, d.subscriber
     ), ends AS (${keepEnd(`taken t CROSS JOIN LATERAL (
                              SELECT * FROM penstock.deliveries
                               WHERE day = t.day AND seq = t.seq AND subscriber = t.subscriber LIMIT 1) AS d`)}
     ), made AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at, replay_id)
       SELECT w.day, w.seq, w.subscriber, 'pending', now(), $8 FROM wanted w
        WHERE $15 = 'missing'
           ON CONFLICT DO NOTHING
       RETURNING 1
     ), counted AS (
       SELECT (SELECT count(*) FROM wanted) AS matched,
              (SELECT count(*) FROM taken) + (SELECT count(*) FROM made) AS enqueued,
              -- Cut short by the room that there is, else by how many rows were looked at, else by nothing.
              (SELECT count(*) FROM page) = $14 AS full_page, (SELECT count(*) FROM scanned) = ${SCAN} AS more
     ), advanced AS (
       UPDATE penstock.replays r
          SET matched = r.matched + c.matched, enqueued = r.enqueued + c.enqueued,
              cursor_day = CASE WHEN c.goes_on THEN $9::date ELSE $17::date END,
              cursor_seq = CASE WHEN c.goes_on THEN at.seq END,
              cursor_subscriber = CASE WHEN c.goes_on THEN at.subscriber END,
              exhausted = NOT c.goes_on AND $17::date IS NULL,
              due_at = now() + make_interval(secs => CASE WHEN r.rate IS NULL THEN 0 ELSE c.enqueued / r.rate::float8 END)
         FROM (SELECT *, full_page OR more AS goes_on FROM counted) AS c LEFT JOIN LATERAL (
                SELECT seq, subscriber FROM scanned
                 WHERE NOT c.full_page
                    OR (seq, subscriber) <= (SELECT seq, subscriber FROM page ORDER BY seq DESC, subscriber DESC LIMIT 1)
                 ORDER BY seq DESC, subscriber DESC LIMIT 1) AS at ON true
        WHERE r.id = $8
     )
     SELECT matched::int, enqueued::int,
            (SELECT jsonb_agg(jsonb_build_object('day', day, 'seq', seq) ORDER BY seq) FROM kept) AS quarantined
       FROM counted`,
    [
      replay.source,
      replay.type,
      replay.since,
      replay.until,
      replay.subject,
      replay.event_seq === null ? null : [replay.event_seq],
      replay.event_day === null ? null : [replay.event_day],
      replay.id,
      day,
      replay.cursor_seq,
      replay.cursor_subscriber,
      replay.handler,
      replay.state,
      events,
      replay.among,
      replay.again,
      next ?? null,
    ],
  );
  return { id: replay.id, quarantined: rows[0]?.quarantined ?? [] };
}

/** What became of an event in quarantine that a replay came by; see EngineTransaction.settleQuarantined. */
export async function settleQuarantined(
  client: pg.PoolClient,
  replayId: string,
  { day, seq }: { readonly day: string; readonly seq: number },
  verdict: Parameters<EngineTransaction["settleQuarantined"]>[2],
): Promise<void> {
  if (!verdict.ok) {
    const { reason, detail } = verdict;
    await query(
      client,
      `WITH still AS (UPDATE penstock.quarantine SET reason = $3, detail = $4 WHERE day = $1 AND seq = $2)
       UPDATE penstock.replays SET matched = matched + 1 WHERE id = $5`,
      [day, seq, reason, detail === null ? null : toStorableText(detail), replayId],
    );
    return;
  }
  await query(
    client,
    `WITH left_it AS (
       DELETE FROM penstock.quarantine WHERE day = $1 AND seq = $2 RETURNING day, seq
     ), made AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at, replay_id)
       SELECT l.day, l.seq, h.name, 'pending', now(), $4
         FROM left_it l JOIN penstock.handlers h ON ${wantsType("$3::text", "h")}
           ON CONFLICT DO NOTHING
       RETURNING 1
     )
     UPDATE penstock.replays r SET matched = r.matched + m.n, enqueued = r.enqueued + m.n
       FROM (SELECT count(*) AS n FROM made) AS m WHERE r.id = $4`,
    [day, seq, verdict.type, replayId],
  );
}
