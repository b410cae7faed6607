import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { fingerprint } from "./fingerprint.ts";
import { noteOccurrences, type Occurrence } from "./note-occurrences.ts";
import { SORTED_AT_ONCE } from "./sort-dead-letters.ts";

const FIND = statement({
  rows: { day: "text", seq: "int8", quarantined_at: "timestamptz", reason: "text", source: "text" },
  text: sql`
    SELECT q.day::text, q.seq, q.quarantined_at, q.reason, e.source
      FROM (SELECT day, seq, quarantined_at, reason FROM penstock.quarantine
             WHERE issue IS NULL AND dismissed_at IS NULL
             ORDER BY quarantined_at LIMIT ${SORTED_AT_ONCE} FOR UPDATE SKIP LOCKED) AS q
           CROSS JOIN LATERAL (SELECT source FROM penstock.events WHERE day = q.day AND seq = q.seq LIMIT 1) AS e`,
});

const SORT = statement({
  text: sql`
    UPDATE penstock.quarantine q SET issue = s.issue
      FROM unnest(${{ days: "date[]", seqs: "int8[]", issues: "int4[]" }}) AS s (day, seq, issue)
     WHERE q.day = s.day AND q.seq = s.seq
       AND q.day = ANY(${{ days: "date[]" }}) AND q.seq = ANY(${{ seqs: "int8[]" }})`,
});

/** Sorts events that have come into quarantine into issues, by source and reason; returns how many. */
export async function sortQuarantined(client: pg.PoolClient): Promise<number> {
  const { rows } = await query(client, FIND);
  const events = rows.map(({ day, seq, quarantined_at, reason, source }): Occurrence & { example: object } => ({
    ...fingerprint("quarantine", source, `events in quarantine: ${reason}`, [reason]),
    at: quarantined_at,
    example: { day, seq: Number(seq) },
  }));
  const noted = await noteOccurrences(client, events);
  await query(client, SORT, {
    days: rows.map(({ day }) => day),
    seqs: rows.map(({ seq }) => seq),
    issues: events.map((one) => noted.get(one.fingerprint)?.id),
  });
  return rows.length;
}
