import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

const RECORD = statement({
  name: "penstock-source-activity",
  text: sql`
    INSERT INTO penstock.source_activity AS a (source, event_at, refused_at, refused)
    SELECT source, now() - event_ago * interval '1 millisecond', now() - refused_ago * interval '1 millisecond', refused
      FROM unnest(${{ sources: "text[]", eventAgo: "float8[]", refusedAgo: "float8[]", refused: "int8[]" }})
           AS told (source, event_ago, refused_ago, refused)
     ORDER BY source
        ON CONFLICT (source) DO UPDATE
       SET event_at = greatest(a.event_at, excluded.event_at), refused_at = greatest(a.refused_at, excluded.refused_at),
           refused = a.refused + excluded.refused`,
});

/** What was heard of a source since the last report; null: nothing of that kind. */
export interface Heard {
  readonly source: string;
  readonly eventAgoMs: number | null;
  readonly refusedAgoMs: number | null;
  readonly refused: number;
}

/** Says when sources were last heard of. */
export async function recordSourceActivity(store: Store, heard: readonly Heard[]): Promise<void> {
  await query(store.pool, RECORD, {
    sources: heard.map(({ source }) => source),
    eventAgo: heard.map(({ eventAgoMs }) => eventAgoMs),
    refusedAgo: heard.map(({ refusedAgoMs }) => refusedAgoMs),
    refused: heard.map(({ refused }) => refused),
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
