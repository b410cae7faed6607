import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** An ingest that has not reported for longer was away: what a source sent meanwhile, nobody knows. */
const LISTENS = "interval '5 minutes'";

const RECORD = statement({
  name: "penstock-source-activity",
  text: sql`
    WITH told AS (
      SELECT source, now() - event_ago * interval '1 millisecond' AS event_at,
             now() - refused_ago * interval '1 millisecond' AS refused_at, refused, requests
        FROM unnest(${{ sources: "text[]", eventAgo: "float8[]", refusedAgo: "float8[]", refused: "int8[]", requests: "int8[]" }})
             AS told (source, event_ago, refused_ago, refused, requests)
       ORDER BY source
    ), counted AS (
      INSERT INTO penstock.source_hours AS h (source, hour, requests)
      SELECT source, date_trunc('hour', event_at, 'UTC'), requests FROM told WHERE requests > 0
          ON CONFLICT (source, hour) DO UPDATE SET requests = h.requests + excluded.requests
    )
    INSERT INTO penstock.source_activity AS a (source, event_at, refused_at, refused, listened_at, listening_since)
    SELECT source, event_at, refused_at, refused, now(), now() FROM told
        ON CONFLICT (source) DO UPDATE
       SET event_at = greatest(a.event_at, excluded.event_at), refused_at = greatest(a.refused_at, excluded.refused_at),
           refused = a.refused + excluded.refused, listened_at = now(),
           listening_since = CASE WHEN a.listened_at > now() - ${LISTENS} THEN a.listening_since ELSE now() END`,
});

/** What was heard of a source since the last report; null: nothing of that kind. Nothing at all says that somebody listens. */
export interface Heard {
  readonly source: string;
  readonly eventAgoMs: number | null;
  readonly refusedAgoMs: number | null;
  readonly refused: number;
  /** How many requests were accepted. */
  readonly requests: number;
}

/** Says when sources were last heard of, and counts what they sent by the hour. */
export async function recordSourceActivity(store: Store, heard: readonly Heard[]): Promise<void> {
  await query(store.pool, RECORD, {
    sources: heard.map(({ source }) => source),
    eventAgo: heard.map(({ eventAgoMs }) => eventAgoMs),
    refusedAgo: heard.map(({ refusedAgoMs }) => refusedAgoMs),
    refused: heard.map(({ refused }) => refused),
    requests: heard.map(({ requests }) => requests),
  });
}

/** When a source was last heard of, within seconds; null: never. */
export interface SourceActivity {
  readonly source: string;
  readonly lastEventAt: Date | null;
  readonly lastRefusedAt: Date | null;
  /** How many of its requests were refused in all. */
  readonly refused: number;
}

const LIST = statement({
  rows: { source: "text", lastEventAt: "timestamptz?", lastRefusedAt: "timestamptz?", refused: "int8" },
  text: sql`
    SELECT source, event_at AS "lastEventAt", refused_at AS "lastRefusedAt", refused FROM penstock.source_activity
     ORDER BY source`,
});

/** When each source was last heard of: one row for each, whatever is stored. */
export async function listSourceActivity(store: Store): Promise<SourceActivity[]> {
  const { rows } = await query(store.pool, LIST);
  return rows.map((row) => ({ ...row, refused: Number(row.refused) }));
}
