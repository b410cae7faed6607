import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { fingerprint } from "./fingerprint.ts";
import { noteOccurrences } from "./note-occurrences.ts";

const TITLE = "requests are refused: ";

// Of each request that the composer sent to be refused, the first refusal that fits counts for nothing. Whoever sends a copy of it
// takes the place of the composer's request, which is counted then: nobody can hide a request.
const IS_OF_COMPOSER = sql`
  EXISTS (SELECT FROM penstock.audit_log sent
           WHERE sent.action = 'composer.send' AND sent.target = r.source AND sent.detail ->> 'way' <> 'signed'
             AND sent.detail ->> 'bodySha256' = r.body_sha256
             AND r.at BETWEEN sent.at AND sent.at + interval '1 minute'
             AND NOT EXISTS (SELECT FROM penstock.refused_requests earlier
                              WHERE earlier.source = r.source AND earlier.body_sha256 = r.body_sha256
                                AND earlier.at >= sent.at AND (earlier.at, earlier.id) < (r.at, r.id)))`;

// The last hundred of each source are kept. What came before the newest occurrence of its issue was counted then, or is let go: two
// ingests may write in another order than requests came.
const FIND = statement({
  rows: { source: "text", reason: "text", at: "timestamptz" },
  text: sql`
    SELECT r.source, r.reason, r.at FROM penstock.refused_requests r
     WHERE NOT EXISTS (
       SELECT FROM penstock.issues i
        WHERE i.kind = 'refused' AND i.subject = r.source AND i.title = '${TITLE}' || r.reason
          AND i.last_seen >= date_trunc('milliseconds', r.at))
       AND NOT ${IS_OF_COMPOSER}`,
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
