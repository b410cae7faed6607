import { OWN_SOURCE, SUBJECT_ERASED } from "@penstock/schemas";
import { query, type Queryable } from "../connection/create-store.ts";
import { column, type Sql, sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { type ArchivedEvent, toArchivedEvents } from "./archived-event.ts";

/** A page takes some 20 ms to make lines of, in which the process does nothing else. One batch always fits. */
const PAGE_BYTES = 1024 * 1024;
const PAGE_BATCHES = 256;

const readOf = <Values>(which: Sql<Values>) =>
  statement({
    rows: {
      batch: "text",
      day: "text",
      received_us: "text",
      meta: "text",
      bodies: "bytea",
      arrivals: "text?",
      recorded: column<{ seq: number; problem: string | null; reason: string | null; detail: string | null }[] | null>(
        "json",
      ),
    },
    // octet_length of what is compressed or stored apart does not read it.
    text: sql`
    WITH ahead AS MATERIALIZED (
      SELECT batch, octet_length(meta) + octet_length(bodies) AS bytes FROM penstock.batches
       WHERE day = ${{ day: "date" }} AND ${which} ORDER BY batch LIMIT ${PAGE_BATCHES}
    ), fitting AS MATERIALIZED (
      SELECT batch FROM (SELECT batch, row_number() OVER w AS place, sum(bytes) OVER w AS total
                           FROM ahead WINDOW w AS (ORDER BY batch)) AS running
       WHERE place = 1 OR total <= ${PAGE_BYTES}
    )
    SELECT b.batch::text, b.day::text, (extract(epoch FROM b.received_at) * 1000000)::int8::text AS received_us,
           b.meta, b.bodies, b.arrivals,
           (SELECT json_agg(json_build_object('seq', e.seq, 'problem', e.problem, 'reason', q.reason, 'detail', q.detail)
                            ORDER BY e.seq)
              FROM penstock.events e LEFT JOIN penstock.quarantine q ON q.day = e.day AND q.seq = e.seq
             WHERE e.day = ${{ day: "date" }} AND e.seq BETWEEN b.batch * 1024 AND b.batch * 1024 + 1023) AS recorded
      FROM fitting f, LATERAL (SELECT * FROM penstock.batches WHERE day = ${{ day: "date" }} AND batch = f.batch LIMIT 1) AS b
     ORDER BY b.batch`,
  });

const READ = readOf(sql`batch >= ${{ from: "int8" }}`);
const READ_PICKED = readOf(sql`batch = ANY (${{ batches: "int8[]" }})`);

/** These events with all that was received of them, in the order of their days and seqs, without what is gone. */
export async function* readPicked(db: Queryable, picked: readonly EventPointer[]): AsyncGenerator<ArchivedEvent> {
  for (const [day, events] of Map.groupBy(picked, (event) => event.day)) {
    const seqs = new Set(events.map(({ seq }) => seq));
    let batches = [...new Set(events.map(({ seq }) => Math.floor(seq / BATCH_EVENTS)))];
    while (batches.length > 0) {
      const { rows } = await query(db, READ_PICKED, { day, batches });
      if (rows.length === 0) break;
      const read = new Set(rows.map(({ batch }) => Number(batch)));
      batches = batches.filter((batch) => !read.has(batch));
      for (const row of rows) {
        for (const event of toArchivedEvents(row, row.recorded ?? [])) if (seqs.has(event.seq)) yield event;
      }
    }
  }
}

/** Whom to erase is told by events of ours. An archive would keep it. */
function withoutErased(event: ArchivedEvent): ArchivedEvent {
  if (event.source !== OWN_SOURCE || event.type !== SUBJECT_ERASED) return event;
  return { ...event, problem: "erased", body: Buffer.alloc(event.body.length, " ") };
}

/** The events of a day that are recorded, after `afterSeq`, in their order. Reads a page at a time, each in a transaction of its own. */
export async function* readDay(db: Queryable, day: string, afterSeq = -1): AsyncGenerator<ArchivedEvent> {
  for (let from = Math.floor((afterSeq + 1) / BATCH_EVENTS); ;) {
    const { rows } = await query(db, READ, { day, from });
    for (const row of rows) {
      for (const event of toArchivedEvents(row, row.recorded ?? []))
        if (event.seq > afterSeq) yield withoutErased(event);
      from = Number(row.batch) + 1;
    }
    if (rows.length === 0) return;
  }
}
