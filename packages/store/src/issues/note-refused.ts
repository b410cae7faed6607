import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { fingerprint } from "./fingerprint.ts";
import { noteOccurrences } from "./note-occurrences.ts";

const TITLE = "requests are refused: ";

// The last hundred of each source are kept. What came before the newest occurrence of its issue was counted then, or is let go: two
// ingests may write in another order than requests came.
const FIND = statement({
  rows: { source: "text", reason: "text", at: "timestamptz" },
  text: sql`
    SELECT r.source, r.reason, r.at FROM penstock.refused_requests r
     WHERE NOT EXISTS (
       SELECT FROM penstock.issues i
        WHERE i.kind = 'refused' AND i.subject = r.source AND i.title = '${TITLE}' || r.reason
          AND i.last_seen >= date_trunc('milliseconds', r.at))`,
});

/** Makes an issue of requests that were refused, for each source and reason; returns how many it counted. */
export async function noteRefused(client: pg.PoolClient): Promise<number> {
  const { rows } = await query(client, FIND);
  await noteOccurrences(
    client,
    rows.map(({ source, reason, at }) => ({
      ...fingerprint("refused", source, TITLE + reason, [reason]),
      at,
      example: null,
    })),
  );
  return rows.length;
}
