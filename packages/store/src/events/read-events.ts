import type { StoredEvent } from "@penstock/engine";
import { query, type Queryable } from "../connection/create-store.ts";
import type { EventPointer } from "./find-events.ts";
import { replayAs } from "../replay/replay-columns.ts";
import { column, sql, statement } from "../connection/sql.ts";

// Row by row by key: see claim-batches.ts. The bodies of a batch are decompressed once, however many of its events are wanted:
// that is what the empty bytea is for. Only bodies that fit are read, since their lengths are known beforehand.
const READ = statement({
  name: "penstock-read-events",
  rows: {
    seq: "text",
    day: "text",
    source: "text",
    event_id: "text?",
    type: "text?",
    subject: "text?",
    created_at: "timestamptz?",
    received_at: "timestamptz",
    body: "bytea",
    problem: "text?",
    traceparent: "text?",
    replay: column<StoredEvent["replay"]>("jsonb"),
  },
  text: sql`
    WITH wanted AS MATERIALIZED (
      SELECT w.nth, e.* FROM unnest(${{ days: "date[]", seqs: "int8[]" }}) WITH ORDINALITY AS w (day, seq, nth),
             LATERAL (SELECT * FROM penstock.events WHERE day = w.day AND seq = w.seq LIMIT 1) AS e
    ), fitting AS MATERIALIZED (
      SELECT * FROM (
        SELECT *, row_number() OVER w AS place, sum(body_bytes) OVER w AS total FROM wanted WINDOW w AS (ORDER BY nth)
      ) AS running WHERE place = 1 OR total <= ${{ maxBytes: "float8" }}
    ), slices AS MATERIALIZED (
      SELECT s.nth, substr(b.bodies, s.body_at + 1, s.body_bytes) AS body
        FROM (SELECT day, seq / 1024 AS batch, array_agg(nth) AS nths, array_agg(body_at) AS ats,
                     array_agg(body_bytes) AS lengths
                FROM fitting GROUP BY 1, 2) AS g,
             LATERAL (SELECT bodies || ''::bytea AS bodies FROM penstock.batches
                       WHERE day = g.day AND batch = g.batch LIMIT 1) AS b,
             LATERAL unnest(g.nths, g.ats, g.lengths) AS s (nth, body_at, body_bytes)
    )
    SELECT e.seq::text, e.day::text, e.source, e.event_id, e.type, e.subjects[1] AS subject, e.created_at, e.received_at,
           s.body, e.problem, e.traceparent,
           CASE WHEN e.replay_id IS NOT NULL THEN ${replayAs("e.replay_id")} END AS replay
      FROM fitting e JOIN slices s USING (nth) ORDER BY nth`,
});

/**
 * Reads events with their bodies, in the order given, without events that are gone. Ends before the first event whose body does not
 * fit into `maxBytes`; one always fits. The only way to read the body of a processed event.
 */
export async function readEvents(
  db: Queryable,
  pointers: readonly EventPointer[],
  maxBytes = Infinity,
): Promise<StoredEvent[]> {
  if (pointers.length === 0) return [];
  const { rows } = await query(db, READ, {
    days: pointers.map(({ day }) => day),
    seqs: pointers.map(({ seq }) => seq),
    maxBytes,
  });
  return rows.map((row) => ({
    seq: Number(row.seq),
    day: row.day,
    source: row.source,
    eventId: row.event_id,
    type: row.type,
    subject: row.subject,
    createdAt: row.created_at,
    receivedAt: row.received_at,
    body: row.body,
    problem: row.problem,
    traceparent: row.traceparent,
    replay: row.replay,
  }));
}

/** Reads one event; null when the event is gone. */
export async function readEvent(db: Queryable, pointer: EventPointer): Promise<StoredEvent | null> {
  const [event] = await readEvents(db, [pointer]);
  return event ?? null;
}

const READ_BODY = statement({
  rows: { body: "bytea?" },
  text: sql`SELECT penstock.body_of(${{ day: "date", seq: "int8", bodyAt: "int4", bytes: "int4" }}) AS body`,
});

/** Reads the body of an event that is not processed yet, from its batch. */
export async function readBody(
  db: Queryable,
  { day, seq, body_at, bytes }: { readonly day: string; readonly seq: string; body_at: number; bytes: number },
): Promise<Buffer> {
  const { rows } = await query(db, READ_BODY, { day, seq, bodyAt: body_at, bytes });
  return rows[0]?.body ?? Buffer.alloc(0);
}
