import type { PartitionedTable } from "../schema/partitions.ts";
import { partitionOf } from "./list-days.ts";

// The texts below run when all tables of a day are detached, and the temporary table `kept` has the seqs that stay. They go from
// the tables of the day into new ones, of which each has the name of the old one and this at its end, until it takes its place.
const NEW = "_kept";

export const newTableOf = (table: PartitionedTable, day: string): string => `${partitionOf(table, day)}${NEW}`;

/** SQL: copies what is kept of a table of a day. */
export function copyKept(table: PartitionedTable, day: string): string {
  const [from, to] = [partitionOf(table, day), newTableOf(table, day)];
  if (table === "batches") return copyBatches(day);
  if (table === "event_words") {
    return `
      INSERT INTO ${to} (day, seq, last_seq, events, received_at, words)
      SELECT w.day, w.seq, w.last_seq, k.events, w.received_at, w.words
        FROM ${from} w,
             LATERAL (SELECT count(*) AS events FROM kept WHERE seq BETWEEN w.seq AND w.last_seq) AS k
       WHERE k.events > 0`;
  }
  if (table === "events") {
    // Bodies lie in the order of seqs, one after another: what goes leaves no gap.
    return `
      INSERT INTO ${to} (seq, day, xid, received_at, source, event_id, type, created_at, subjects, problem, traceparent,
                         body_at, body_bytes, replay_id, replay_of)
      SELECT seq, day, xid, received_at, source, event_id, type, created_at, subjects, problem, traceparent,
             sum(body_bytes) OVER (PARTITION BY seq / 1024 ORDER BY seq) - body_bytes, body_bytes, replay_id, replay_of
        FROM ${from} JOIN kept USING (seq)`;
  }
  return `INSERT INTO ${to} SELECT t.* FROM ${from} t WHERE seq IN (SELECT seq FROM kept)`;
}

/**
 * A batch holds events of several sources: it is written anew with what is kept of it, and copied as it is where that is all. In
 * its metadata, what goes leaves an empty place, since the place of an event there is a part of its seq.
 */
function copyBatches(day: string): string {
  const events = partitionOf("events", day);
  return `
    INSERT INTO ${newTableOf("batches", day)} (day, batch, received_at, events, meta, bodies, arrivals)
    SELECT b.day, b.batch, b.received_at, k.events,
           CASE WHEN k.events = b.events THEN b.meta
                ELSE (SELECT json_agg(CASE WHEN m.nth - 1 = ANY (k.places) THEN m.value ELSE '{"source":"","bytes":0}' END
                                      ORDER BY m.nth)::text
                        FROM json_array_elements(b.meta::json) WITH ORDINALITY AS m (value, nth)) END,
           CASE WHEN k.events = b.events THEN b.bodies
                ELSE (SELECT string_agg(substr(plain.bodies, e.body_at + 1, e.body_bytes), ''::bytea ORDER BY e.seq)
                        FROM (SELECT b.bodies || ''::bytea AS bodies OFFSET 0) AS plain,
                             ${events} e JOIN kept USING (seq)
                       WHERE e.seq BETWEEN b.batch * 1024 AND b.batch * 1024 + 1023) END,
           CASE WHEN k.events = b.events THEN b.arrivals END -- how what has gone came goes with it
      FROM ${partitionOf("batches", day)} b
      JOIN (SELECT seq / 1024 AS batch, count(*) AS events, array_agg(seq % 1024) AS places FROM kept GROUP BY 1) AS k
           USING (batch)`;
}
