import { query, type Store } from "../connection/create-store.ts";
import { keysOf, readIdOrSeq } from "../events/find-events.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** An event that was received and is not there any more. */
export interface GoneEvent {
  /** When it was received (UTC). */
  readonly day: string;
  readonly seq: number;
  /** When it went; of a day that went in parts, when the first and the last part did. */
  readonly wentAt: string;
  readonly lastWentAt: string;
  readonly why: "age" | "bytes";
}

const FIND = statement({
  rows: {
    day: "text",
    seq: "int8",
    wentAt: "timestamptz",
    lastWentAt: "timestamptz",
    why: column<GoneEvent["why"]>("text"),
  },
  text: sql`
    SELECT gone.day::text, gone.seq, min(l.at) AS "wentAt", max(l.at) AS "lastWentAt", min(l.why) AS why
      FROM (SELECT k.day, k.seq FROM penstock.event_keys k WHERE k.key = ANY(${{ keys: "uuid[]" }})
            UNION
            SELECT day, ${{ seq: "int8?" }} FROM penstock.retention_log
             WHERE ${{ seq: "int8?" }} BETWEEN first_seq AND last_seq) AS gone
      JOIN penstock.retention_log l ON l.day = gone.day
     WHERE NOT EXISTS (SELECT FROM penstock.events e WHERE e.day = gone.day AND e.seq = gone.seq)
     GROUP BY gone.day, gone.seq ORDER BY gone.day DESC LIMIT 1`,
});

/** An event by its id or seq that retention has deleted: the ledger outlives it. Null: nobody knows of it. */
export async function findGone(store: Store, idOrSeq: string, source?: string): Promise<GoneEvent | null> {
  const { id, seq } = readIdOrSeq(idOrSeq);
  const keys = id === undefined ? [] : await keysOf(store, id, source);
  const [row] = (await query(store.pool, FIND, { keys, seq })).rows;
  if (row === undefined) return null;
  return {
    ...row,
    seq: Number(row.seq),
    wentAt: row.wentAt.toISOString(),
    lastWentAt: row.lastWentAt.toISOString(),
  };
}
