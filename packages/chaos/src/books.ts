import type pg from "pg";
import type { HeardEvent } from "./outside.ts";
import type { SentEvent } from "./sender.ts";

/** A time in which handlers could not get on, by `Date`. */
export interface Stall {
  readonly from: Date;
  readonly to: Date;
}

/** What the sender and the world outside have on record. */
export interface Record {
  readonly sent: readonly SentEvent[];
  readonly heard: ReadonlyMap<string, HeardEvent>;
  readonly stalls: readonly Stall[];
}

type Database = Pick<pg.Client, "query">;

const TABLES = `
  DROP SCHEMA IF EXISTS chaos CASCADE;
  CREATE SCHEMA chaos;
  CREATE TABLE chaos.sent (id text PRIMARY KEY, body_hash text, forged boolean, ordered text, acknowledged boolean,
                           refused boolean);
  CREATE TABLE chaos.heard (id text PRIMARY KEY, calls integer, keys integer, calls_after integer);
  CREATE TABLE chaos.stalls ("from" timestamptz, "to" timestamptz);
  CREATE VIEW chaos.effects AS
    SELECT 'rows' AS handler, * FROM rows.effects UNION ALL
    SELECT 'counted', * FROM counted.effects UNION ALL
    SELECT 'lane', * FROM lane.effects`;

/** Puts the record into tables beside Penstock's, so that the books are plain SQL. */
export async function putRecord(db: Database, { sent, heard, stalls }: Record): Promise<void> {
  await db.query(TABLES);
  await db.query(
    `INSERT INTO chaos.sent
     SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[], $5::boolean[], $6::boolean[])`,
    [
      sent.map(({ id }) => id),
      sent.map(({ bodyHash }) => bodyHash),
      sent.map(({ forged }) => forged),
      sent.map(({ order }) => order),
      sent.map(({ acknowledged }) => acknowledged),
      sent.map(({ refused }) => refused),
    ],
  );
  const events = [...heard];
  await db.query("INSERT INTO chaos.heard SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::int[])", [
    events.map(([id]) => id),
    events.map(([, { calls }]) => calls),
    events.map(([, { keys }]) => keys.size),
    events.map(([, { callsAfter }]) => callsAfter),
  ]);
  await db.query("INSERT INTO chaos.stalls SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[])", [
    stalls.map(({ from }) => from),
    stalls.map(({ to }) => to),
  ]);
}

/**
 * The promises, each as a query that finds what breaks it: the event, and what is wrong. They run in psql as they are.
 *
 * An event that was not acknowledged may be stored all the same, since the answer can get lost. Then all of this holds for it, too.
 */
export const PROMISES = {
  // Acknowledged means committed, byte for byte, and what is stored takes effect. What ingest has refused with 503 it has kept.
  lost: `
    SELECT s.id, CASE WHEN e.seq IS NULL THEN 'is not stored' ELSE 'is stored with other bytes' END AS what
      FROM chaos.sent s LEFT JOIN penstock.events e ON e.event_id = s.id
     WHERE (s.acknowledged OR s.refused)
       AND (e.seq IS NULL
            OR encode(sha256(penstock.body_of(e.day, e.seq, e.body_at, e.body_bytes)), 'hex') IS DISTINCT FROM s.body_hash)
    UNION ALL
    SELECT e.event_id, 'has no effect of ' || h.handler
      FROM penstock.events e, (VALUES ('rows'), ('counted'), ('lane')) AS h (handler)
     WHERE NOT EXISTS (SELECT FROM chaos.effects f
                        WHERE f.event_id = e.event_id AND f.handler = h.handler AND f.replay IS NULL)
    UNION ALL
    SELECT e.event_id, 'has not reached the world outside'
      FROM penstock.events e LEFT JOIN chaos.heard o ON o.id = e.event_id WHERE coalesce(o.calls, 0) = 0`,

  // A transactional handler takes effect once, for each time that somebody asked for it. An effect that is on record is not
  // done again, and all its tries have one idempotency key.
  doubled: `
    SELECT event_id AS id, 'has ' || count(*) || ' effects of ' || handler AS what
      FROM chaos.effects GROUP BY handler, event_id, replay HAVING count(*) > 1
    UNION ALL
    SELECT event_id, 'is stored ' || count(*) || ' times' FROM penstock.events GROUP BY event_id HAVING count(*) > 1
    UNION ALL
    SELECT lane, 'was counted ' || c.events || ' times for ' || count(f.event_id) || ' events'
      FROM counted.counters c LEFT JOIN counted.effects f USING (lane) GROUP BY lane, c.events
    HAVING c.events <> count(f.event_id)
    UNION ALL
    SELECT id, 'was told again ' || calls_after || ' times after that was on record' FROM chaos.heard WHERE calls_after > 0
    UNION ALL
    SELECT id, 'was told with ' || keys || ' idempotency keys' FROM chaos.heard WHERE keys > 1`,

  // In a strict lane an older event that was there goes first. It was there if the same transaction has recorded it, or one that
  // committed earlier; a second is left for commits side by side.
  outOfOrder: `
    WITH applied AS (
      SELECT f.lane, f.nth, f.event_id, f.created_at, e.seq, e.xid, pg_xact_commit_timestamp(e.xid::text::xid) AS recorded,
             (max(f.created_at) OVER (PARTITION BY f.lane ORDER BY f.nth)) > f.created_at AS is_late
        FROM lane.effects f JOIN penstock.events e USING (event_id) WHERE f.replay IS NULL
    )
    SELECT DISTINCT older.event_id AS id, 'came after a newer one in its lane' AS what
      FROM applied older JOIN applied newer ON newer.lane = older.lane
     WHERE older.is_late AND newer.nth < older.nth AND newer.created_at > older.created_at
       AND (older.xid = newer.xid OR older.recorded + interval '1 second' < newer.recorded)`,

  // What is not signed is not stored.
  unsigned: `
    SELECT e.event_id AS id, CASE WHEN s.id IS NULL THEN 'was never sent' ELSE 'was signed with a wrong secret' END AS what
      FROM penstock.events e LEFT JOIN chaos.sent s ON s.id = e.event_id WHERE s.id IS NULL OR s.forged`,

  // An outage uses up no attempt. A handler fails or hangs where it was told to; it may run out of time while it is held up.
  usedAttempts: `
    SELECT e.event_id AS id, a.subscriber || ' ' || a.outcome || ' at attempt ' || a.attempt
                             || coalesce(': ' || a.error_class || ' ' || a.error_message, '') AS what
      FROM penstock.attempts a JOIN penstock.events e USING (day, seq) JOIN chaos.sent s ON s.id = e.event_id
     WHERE (a.outcome = 'failed' AND s.ordered <> 'throw ' || a.subscriber)
        OR (a.outcome = 'timed-out' AND s.ordered <> 'hang ' || a.subscriber
            AND NOT EXISTS (SELECT FROM chaos.stalls WHERE "from" < a.ended_at AND "to" > a.started_at))`,

  // Nothing is left over.
  stuck: `
    SELECT 'batch ' || batch AS id, 'is pending' AS what FROM penstock.pending
    UNION ALL
    SELECT e.event_id, d.subscriber || ' is ' || d.state
      FROM penstock.deliveries d JOIN penstock.events e USING (day, seq) WHERE d.state <> 'succeeded'
    UNION ALL
    SELECT id, 'is a replay and ' || status FROM penstock.replays WHERE status <> 'done'
    UNION ALL
    SELECT e.event_id, 'is in quarantine: ' || q.reason FROM penstock.quarantine q JOIN penstock.events e USING (day, seq)`,
} as const;

export type PromiseName = keyof typeof PROMISES;

/** What breaks a promise: how much of it, and the first of it in words. */
export interface Breach {
  readonly count: number;
  readonly examples: readonly string[];
}

const EXAMPLES = 10;

/** Balances the books; see PROMISES. The record must have been put beside them. */
export async function balance(db: Database): Promise<{ readonly [Name in PromiseName]: Breach }> {
  const breaches: [string, Breach][] = [];
  for (const [name, sql] of Object.entries(PROMISES)) {
    const { rows } = await db.query<{ id: string; what: string }>(`${sql} ORDER BY 1, 2`);
    breaches.push([
      name,
      { count: rows.length, examples: rows.slice(0, EXAMPLES).map(({ id, what }) => `${id} ${what}`) },
    ]);
  }
  return Object.fromEntries(breaches) as { [Name in PromiseName]: Breach };
}
