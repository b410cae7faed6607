// What a database holds that has been in use: written straight into Penstock's tables, as it would have left it itself.
import pg from "pg";
import type { Stage } from "./stage.ts";

// A hundred events to a batch. The body is as long as those that are sent; keys are hashes, so they are spread over the index
// as in life.
const INSERT = `
  WITH drawn AS MATERIALIZED (
    SELECT nextval('penstock.batch_number') AS batch, first FROM generate_series($1::int, $2::int, 100) AS first
  ), made AS MATERIALIZED (
    SELECT batch, batch * 1024 + n - first AS seq, coalesce($5::date, (now() AT TIME ZONE 'UTC')::date) AS day, 350 * (n - first) AS body_at,
           'evt_history_' || n AS id, n,
           rpad('{"id":"evt_history_' || n || '","type":"message.received","data":{"contactId":"cnt_' || n % 10000, 350, 'x')
             AS body
      FROM drawn, generate_series(first, least(first + 99, $2::int)) AS n
  ), batches AS (
    INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
    SELECT day, batch, now(), count(*),
           json_agg(json_build_object('source', 'buzzbip', 'id', id, 'type', 'message.received', 'bytes', 350) ORDER BY n),
           convert_to(string_agg(body, '' ORDER BY n), 'UTF8')
      FROM made GROUP BY day, batch
  ), keys AS (
    INSERT INTO penstock.event_keys (key, seq, day, body_hash)
    SELECT md5(id)::uuid, seq, day, md5(body)::uuid FROM made
  ), events AS (
    INSERT INTO penstock.events
           (seq, day, received_at, source, event_id, type, created_at, subjects, body_at, body_bytes)
    SELECT seq, day, now(), 'buzzbip', id, 'message.received', now(),
           ARRAY['cnt_' || n % 10000, 'conv_' || n % 10000, 'msg_' || n], body_at, 350 FROM made
  )
  INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, next_attempt_at)
  SELECT day, seq, $3, $4, 1, CASE WHEN $4 = 'retrying' THEN now() + interval '1 day' END FROM made`;

const LOT = 100_000;

/** Stores events of a day, today unless given, that have been processed, with their deliveries, and leaves the tables as autovacuum would. */
export async function fillWithHistory(databaseUrl: string, events: number, day: string | null = null): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (let from = 1; from <= events; from += LOT) {
      await client.query(INSERT, [from, Math.min(events, from + LOT - 1), "bench", "succeeded", day]);
    }
    await client.query("VACUUM (ANALYZE) penstock.batches, penstock.event_keys, penstock.events, penstock.deliveries");
    await client.query("CHECKPOINT");
  } finally {
    await client.end();
  }
}

/** Stores events whose delivery to a handler has failed and is to be tried again tomorrow. */
export async function parkRetries(stage: Stage, events: number, handler: string): Promise<void> {
  await stage.query(INSERT, [1, events, handler, "retrying", null]);
  await stage.query("VACUUM (ANALYZE) penstock.batches, penstock.event_keys, penstock.events, penstock.deliveries");
}

/** Makes a delivery of its own of each event that is pending, as a batch does for a handler that is demoted. */
export async function leaveAsDeliveries(stage: Stage, handler: string): Promise<void> {
  await stage.query(
    `WITH taken AS (
       DELETE FROM penstock.pending RETURNING day, batch
     ), waiting AS MATERIALIZED (
       SELECT e.* FROM taken t JOIN penstock.batches b USING (day, batch), LATERAL penstock.events_of(b) AS e
     ), keys AS (
       INSERT INTO penstock.event_keys (key, seq, day, body_hash)
       SELECT md5(event_id)::uuid, seq, day, md5(event_id)::uuid FROM waiting
     ), events AS (
       INSERT INTO penstock.events
              (seq, day, received_at, source, event_id, type, created_at, subjects, body_at, body_bytes)
       SELECT seq, day, received_at, source, event_id, type, created_at, subjects, body_at, body_bytes FROM waiting
     )
     INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, next_attempt_at)
     SELECT day, seq, $1, 'pending', 0, now() FROM waiting`,
    [handler],
  );
}

/** Makes the row of each contact, so that hot ones and cold ones alike are updated. */
export async function prepareCounters(stage: Stage, contacts: number): Promise<void> {
  await stage.query(
    `INSERT INTO bench.counters (contact_id, events)
     SELECT 'cnt_' || lpad(n::text, 8, '0'), 0 FROM generate_series(0, $1::int - 1) AS n`,
    [contacts],
  );
  await stage.query("VACUUM (ANALYZE) bench.counters");
}
