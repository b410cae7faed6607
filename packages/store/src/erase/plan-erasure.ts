import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { toPointers } from "./erase-events.ts";
import { countTexts } from "./erase-texts.ts";
import { findMatches } from "./find-matches.ts";
import { type ErasedValue, isInTexts, kindOf, toLooks } from "./wanted.ts";

/** What an erasure would overwrite, were it asked for now. */
export interface ErasurePlan {
  readonly kinds: readonly string[];
  /** Events that have one of the values, counted up to {@link ERASURE_COUNT_LIMIT}. */
  readonly events: number;
  /** Whether there are more: counting ended at the limit, or time was up. */
  readonly more: boolean;
  readonly oldest: string | null;
  readonly newest: string | null;
  /** By type, the most first; an empty name is none. */
  readonly types: readonly { readonly source: string; readonly type: string; readonly events: number }[];
  /** What was made of these events. */
  readonly batches: number;
  readonly deliveries: number;
  /** Deliveries that wait or are dead: they would be skipped. */
  readonly skipped: number;
  readonly attempts: number;
  readonly effects: number;
  readonly quarantine: number;
  readonly filters: number;
  /** Rows about other things in whose texts a value stands, by table; null: it takes too long to count. */
  readonly texts: Readonly<Record<string, number | null>>;
  /** Handlers that may have made rows of their own, by name; endpoints that have been sent some of the events. */
  readonly handlers: readonly string[];
  readonly endpoints: readonly string[];
}

/** More events are not counted for a plan. */
export const ERASURE_COUNT_LIMIT = 10_000;

const given = { days: "date[]", seqs: "int8[]" } as const;
const of = (table: string, which = "true"): string => `
  (SELECT count(*)::int FROM w, LATERAL (SELECT * FROM penstock.${table} t WHERE day = w.day AND seq = w.seq AND ${which}) AS t)`;

const COUNT = statement({
  rows: {
    oldest: "timestamptz?",
    newest: "timestamptz?",
    types: column<ErasurePlan["types"]>("json"),
    deliveries: "int4",
    skipped: "int4",
    attempts: "int4",
    effects: "int4",
    quarantine: "int4",
    filters: "int4",
    handlers: "text[]",
    endpoints: "text[]",
  },
  text: sql`
    WITH w AS MATERIALIZED (SELECT * FROM unnest(${given}) AS w (day, seq)
    ), e AS MATERIALIZED (
      SELECT e.* FROM w, LATERAL (SELECT * FROM penstock.events WHERE day = w.day AND seq = w.seq LIMIT 1) AS e)
    SELECT (SELECT min(received_at) FROM e) AS oldest, (SELECT max(received_at) FROM e) AS newest,
           (SELECT coalesce(json_agg(t ORDER BY t.events DESC, t.source, t.type), '[]')
              FROM (SELECT source, coalesce(type, '') AS type, count(*)::int AS events FROM e GROUP BY 1, 2) AS t) AS types,
           ${of("deliveries")} AS deliveries,
           ${of("deliveries", "t.state IN ('pending', 'retrying', 'dead')")} AS skipped,
           ${of("attempts", "t.error_message IS NOT NULL")} AS attempts,
           ${of("effects")} AS effects, ${of("quarantine")} AS quarantine,
           (SELECT count(DISTINCT (r.day, r.seq))::int
              FROM w, LATERAL (SELECT day, seq, last_seq FROM penstock.event_words
                                WHERE day = w.day AND seq <= w.seq ORDER BY seq DESC LIMIT 1) AS r
             WHERE r.last_seq >= w.seq) AS filters,
           ARRAY(SELECT name FROM penstock.handlers WHERE kind <> 'endpoint' ORDER BY name) AS handlers,
           ARRAY(SELECT DISTINCT t.subscriber
                   FROM w, LATERAL (SELECT subscriber, attempts FROM penstock.deliveries
                                     WHERE day = w.day AND seq = w.seq) AS t
                  WHERE starts_with(t.subscriber, 'ep_') AND t.attempts > 0 ORDER BY 1) AS endpoints`,
});

/** Looks for what an erasure would overwrite, for `budgetMs` at most. Changes nothing. */
export async function planErasure(
  store: Store,
  wanted: readonly ErasedValue[],
  { budgetMs = 20_000 }: { readonly budgetMs?: number } = {},
): Promise<ErasurePlan> {
  const began = performance.now();
  const found = new Map<number, EventPointer>();
  let more = false;
  looks: for (const look of toLooks(wanted)) {
    const all = { lastBatch: Number.MAX_SAFE_INTEGER, before: null, wanted: 1_000 };
    for await (const step of findMatches(store, look, all)) {
      for (const event of step.found) found.set(event.seq, event);
      more = step.downTo !== null && (found.size >= ERASURE_COUNT_LIMIT || performance.now() - began > budgetMs);
      if (more) break looks;
    }
  }
  const events = [...found.values()];
  const counted = (await query(store.pool, COUNT, toPointers(events))).rows[0];
  return {
    kinds: wanted.map(kindOf),
    events: events.length,
    more,
    oldest: counted?.oldest?.toISOString() ?? null,
    newest: counted?.newest?.toISOString() ?? null,
    types: counted?.types ?? [],
    batches: new Set(events.map(({ seq }) => Math.floor(seq / BATCH_EVENTS))).size,
    deliveries: counted?.deliveries ?? 0,
    skipped: counted?.skipped ?? 0,
    attempts: counted?.attempts ?? 0,
    effects: counted?.effects ?? 0,
    quarantine: counted?.quarantine ?? 0,
    filters: counted?.filters ?? 0,
    texts: await countTexts(
      store,
      wanted.filter(isInTexts).map(({ value }) => value),
    ),
    handlers: counted?.handlers ?? [],
    endpoints: counted?.endpoints ?? [],
  };
}
