import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import type { EventPointer } from "../events/find-events.ts";
import { wordsOf } from "../search/record-words.ts";

// A run begins at or before its first event, and the last one that does holds the event, or none.
const RUNS = statement({
  rows: { day: "text", seq: "int8", last_seq: "int8" },
  text: sql`
    SELECT DISTINCT r.day::text, r.seq, r.last_seq
      FROM unnest(${{ days: "date[]", seqs: "int8[]" }}) AS w (day, seq),
           LATERAL (SELECT day, seq, last_seq FROM penstock.event_words
                     WHERE day = w.day AND seq <= w.seq ORDER BY seq DESC LIMIT 1) AS r
     WHERE r.last_seq >= w.seq`,
});

const EVENTS = statement({
  rows: { source: "text", type: "text?", subjects: "text[]", body: "bytea" },
  text: sql`
    SELECT e.source, e.type, e.subjects, substr(b.bodies, e.body_at + 1, e.body_bytes) AS body
      FROM (SELECT day, seq / 1024 AS batch, source, type, subjects, body_at, body_bytes FROM penstock.events
             WHERE day = ${{ day: "date" }} AND seq BETWEEN ${{ seq: "int8" }} AND ${{ lastSeq: "int8" }}) AS e,
           LATERAL (SELECT bodies || ''::bytea AS bodies FROM penstock.batches
                     WHERE day = ${{ day: "date" }} AND batch = e.batch LIMIT 1) AS b`,
});

const WRITE = statement({
  text: sql`
    UPDATE penstock.event_words SET words = ${{ words: "bytea?" }}
     WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }}`,
});

/** Makes the filters anew in which events were that are erased now: a filter tells which words may have stood there. */
export async function rebuildWords(client: pg.PoolClient, erased: readonly EventPointer[]): Promise<number> {
  const { rows } = await query(client, RUNS, {
    days: erased.map(({ day }) => day),
    seqs: erased.map(({ seq }) => seq),
  });
  for (const { day, seq, last_seq: lastSeq } of rows) {
    const events = await query(client, EVENTS, { day, seq, lastSeq });
    await query(client, WRITE, { day, seq, words: wordsOf(events.rows) });
  }
  return rows.length;
}
