import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { fingerprint } from "./fingerprint.ts";
import { noteOccurrences } from "./note-occurrences.ts";

/** Whether an endpoint `e` is down: left alone after failures in a row and not back since, or disabled. */
export const IS_DOWN = "(e.parks > 0 OR e.disabled_at IS NOT NULL)";

// One that went down at the time of its issue's newest occurrence was counted then.
const FIND = statement({
  rows: { id: "text", since: "timestamptz", disabled: "bool" },
  text: sql`
    SELECT e.id, came.since, e.disabled_at IS NOT NULL AS disabled
      FROM penstock.endpoints e,
           LATERAL (SELECT date_trunc('milliseconds', coalesce(e.failing_since, e.disabled_at)) AS since) AS came
     WHERE ${IS_DOWN} AND came.since IS NOT NULL
       AND NOT EXISTS (SELECT FROM penstock.issues i
                        WHERE i.kind = 'failing-endpoint' AND i.subject = e.id AND i.last_seen >= came.since)
     LIMIT 1000`,
});

/** Makes an issue of each endpoint that is down, one occurrence for each time that it went down; returns how many. */
export async function noteFailingEndpoints(client: pg.PoolClient): Promise<number> {
  const { rows } = await query(client, FIND);
  await noteOccurrences(
    client,
    rows.map(({ id, since }) => ({
      ...fingerprint("failing-endpoint", id, "the endpoint does not take what is sent to it"),
      at: since,
      example: null,
    })),
  );
  return rows.length;
}
