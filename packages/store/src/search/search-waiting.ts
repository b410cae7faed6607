import { matchBody, toStorableText } from "@penstock/schemas";
import { readIdOrSeq } from "../events/find-events.ts";
import { readBody } from "../events/read-events.ts";
import { query, type Store } from "../connection/create-store.ts";
import type { Search } from "./search-terms.ts";
import { ofEvent } from "./search-statements.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";

/** Of an id; see intake. */
const SHOWN_CHARACTERS = 256;
const ids = { ids: "text[]?" } as const;
const seqs = { seqs: "int8[]?" } as const;
const before = { before: "int8?" } as const;

// Batch by batch, the newest first, until there are enough: the nested loop keeps that order. Rows are made without their
// bodies, which would be read, too, however large they are.
const WAITING = statement({
  rows: {
    seq: "int8",
    day: "text",
    source: "text",
    event_id: "text?",
    type: "text?",
    status: column<"pending">("text"),
    received_at: "timestamptz",
    created_at: "timestamptz?",
    bytes: "int4",
    body_at: "int4",
    traceparent: "text?",
    subjects: column<string[]>("text[]"),
    replay_id: "text?",
    replay_of: "int8?",
  },
  text: sql`
    SELECT e.seq, e.day::text, e.source, e.event_id, e.type, 'pending' AS status, e.received_at, e.created_at,
           e.body_bytes AS bytes, e.body_at, e.traceparent, e.subjects, e.replay_id, e.replay_of
      FROM (SELECT day, batch FROM penstock.pending
             WHERE ${before} IS NULL OR batch <= ${before} / 1024 ORDER BY batch DESC LIMIT ${{ batches: "int4" }}) AS p,
           LATERAL (SELECT ROW(day, batch, received_at, events, meta, ''::bytea, NULL)::penstock.batches AS b
                      FROM penstock.batches WHERE day = p.day AND batch = p.batch LIMIT 1) AS b,
           LATERAL (SELECT * FROM penstock.events_of(b.b) ORDER BY seq DESC) AS e
     WHERE ${ofEvent}
       AND ((${ids} IS NULL AND ${seqs} IS NULL) OR e.event_id = ANY(${ids}) OR e.seq = ANY(${seqs}))
       AND (${before} IS NULL OR e.seq < ${before})
     LIMIT ${{ limit: "int8" }}`,
});

export type WaitingRow = RowOf<typeof WAITING>;

/** So many of the newest batches are looked at: a backlog is not read through for a page. */
const MOST_BATCHES = 500;

/**
 * Events that fit in batches that nobody has processed, the newest first; of copies nobody knows yet that they are. They have
 * no deliveries.
 */
export async function searchWaiting(
  store: Store,
  { conditions, bodyTerms }: Search,
  { before, limit }: { readonly before: number | null; readonly limit: number },
): Promise<WaitingRow[]> {
  const { handlers, states, statuses } = conditions;
  if (handlers !== null || states !== null || (statuses !== null && !statuses.includes("pending"))) return [];
  const named = conditions.ids?.map(readIdOrSeq);
  const values = {
    ...conditions,
    ids: named?.flatMap(({ id }) => (id === undefined ? [] : [toStorableText(id.slice(0, SHOWN_CHARACTERS))])),
    seqs: named?.flatMap(({ seq }) => seq ?? []),
    batches: MOST_BATCHES,
  };
  const found: WaitingRow[] = [];
  for (let below = before; found.length < limit;) {
    const { rows } = await query(store.pool, WAITING, { ...values, before: below, limit });
    for (const row of rows) {
      if (bodyTerms.length === 0 || matchBody(await readBody(store.pool, row), bodyTerms)) found.push(row);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit || bodyTerms.length === 0) break;
    below = Number(last.seq);
  }
  return found.slice(0, limit);
}
