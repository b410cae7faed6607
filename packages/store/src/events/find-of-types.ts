import { query, type Store } from "../connection/create-store.ts";
import { type DeliveryFilter, eventMatches, seqs, since, toEventValues, until } from "../deliveries/delivery-filter.ts";
import type { EventPointer } from "./find-events.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** Selects events of these types. */
export interface TypesFilter extends Omit<DeliveryFilter, "handler" | "state"> {
  readonly types: readonly string[];
  /** The most events to find. */
  readonly limit: number;
}

/** An event that was found, with its id. */
export interface FoundEvent extends EventPointer {
  readonly id: string | null;
  readonly type: string;
}

/** How many events one statement reads, matching or not: it takes milliseconds and little memory, however rare matches are. */
const SCAN = 10_000;

// Neither types nor subjects have an index: a search for a rare one goes through the archive.
const beforeDay = { beforeDay: "date?" } as const;
const scanned = { scanned: "int4" } as const;

const FIND = statement({
  rows: {
    found: column<FoundEvent[]>("jsonb"),
    // Where the next page begins.
    day: "text",
    seq: "int8",
    more: "bool",
  },
  text: sql`
    WITH scanned AS MATERIALIZED (
      SELECT e.day, e.seq, e.event_id, e.type, (e.type = ANY(${{ types: "text[]" }}) AND ${eventMatches("e")}) AS matches
        FROM penstock.events e
       WHERE (${since} IS NULL OR e.day >= (${since} AT TIME ZONE 'UTC')::date)
         AND (${until} IS NULL OR e.day <= (${until} AT TIME ZONE 'UTC')::date)
         AND (${seqs} IS NULL OR (e.day = ANY(${{ days: "date[]?" }}) AND e.seq = ANY(${seqs})))
         AND (${beforeDay} IS NULL OR (e.day <= ${beforeDay} AND (e.day, e.seq) < (${beforeDay}, ${{ beforeSeq: "int8?" }})))
       ORDER BY e.day DESC, e.seq DESC LIMIT ${scanned}
    ), found AS (
      SELECT s.day, s.seq, s.event_id, s.type FROM scanned s
       WHERE s.matches
         AND (${seqs} IS NOT NULL OR (SELECT q.seq FROM penstock.quarantine q WHERE q.day = s.day AND q.seq = s.seq) IS NULL)
       ORDER BY s.day DESC, s.seq DESC LIMIT ${{ wanted: "int8" }}
    )
    SELECT coalesce((SELECT jsonb_agg(jsonb_build_object('day', day, 'seq', seq, 'id', event_id, 'type', type)
                                      ORDER BY day DESC, seq DESC) FROM found), '[]') AS found,
           last.day::text, last.seq, (SELECT count(*) FROM scanned) = ${scanned} AS more
      FROM (SELECT day, seq FROM scanned ORDER BY day, seq LIMIT 1) AS last`,
});

/**
 * The newest events of some types that match, the newest first. Quarantined events are left out, unless an event is named. Goes through the archive page by page until there are enough, or the signal is aborted.
 */
export async function findOfTypes(
  store: Store,
  { types, limit, ...filter }: TypesFilter,
  signal: AbortSignal,
  scan = SCAN,
): Promise<FoundEvent[]> {
  const matching = { ...(await toEventValues(store, filter)), types, scanned: scan };
  const found: FoundEvent[] = [];
  let before: { readonly day: string; readonly seq: string } | undefined;
  while (found.length < limit && !signal.aborted) {
    const cursor = { beforeDay: before?.day, beforeSeq: before?.seq, wanted: limit - found.length };
    const [page] = (await query(store.pool, FIND, { ...matching, ...cursor })).rows;
    if (page === undefined) break;
    found.push(...page.found);
    if (!page.more) break;
    before = page;
  }
  return found;
}
