import { query, type Store } from "./create-store.ts";
import { type DeliveryFilter, eventMatches, toEventParameters } from "./delivery-filter.ts";
import type { EventPointer } from "./find-events.ts";

/** Which events are meant: of these types. */
export interface TypesFilter extends Omit<DeliveryFilter, "handler" | "state"> {
  readonly types: readonly string[];
  /** The most that are found. */
  readonly limit: number;
}

/** An event that was found, and how it is called. */
export interface FoundEvent extends EventPointer {
  readonly id: string | null;
  readonly type: string;
}

/** How many events one statement looks at, matching or not: it takes milliseconds, and next to no memory, however rare they are. */
const SCAN = 10_000;

// Neither types nor subjects have an index: to look for a rare one is to go through the archive.
const FIND = `
  WITH scanned AS MATERIALIZED (
    SELECT e.day, e.seq, e.event_id, e.type, (e.type = ANY($8::text[]) AND ${eventMatches("e")}) AS matches
      FROM penstock.events e
     WHERE ($3::timestamptz IS NULL OR e.day >= ($3 AT TIME ZONE 'UTC')::date)
       AND ($4::timestamptz IS NULL OR e.day <= ($4 AT TIME ZONE 'UTC')::date)
       AND ($6::bigint[] IS NULL OR (e.day = ANY($7::date[]) AND e.seq = ANY($6)))
       AND ($9::date IS NULL OR (e.day <= $9 AND (e.day, e.seq) < ($9, $10::bigint)))
     ORDER BY e.day DESC, e.seq DESC LIMIT $11
  ), found AS (
    SELECT s.day, s.seq, s.event_id, s.type FROM scanned s
     WHERE s.matches
       AND ($6 IS NOT NULL OR (SELECT q.seq FROM penstock.quarantine q WHERE q.day = s.day AND q.seq = s.seq) IS NULL)
     ORDER BY s.day DESC, s.seq DESC LIMIT $12
  )
  SELECT coalesce((SELECT jsonb_agg(jsonb_build_object('day', day, 'seq', seq, 'id', event_id, 'type', type)
                                    ORDER BY day DESC, seq DESC) FROM found), '[]') AS found,
         last.day::text, last.seq::text, (SELECT count(*) FROM scanned) = $11 AS more
    FROM (SELECT day, seq FROM scanned ORDER BY day, seq LIMIT 1) AS last`;

interface Page {
  found: FoundEvent[];
  day: string;
  seq: string;
  more: boolean;
}

/**
 * The newest events of some types that match, the newest first, except what is in quarantine; one that is named is found
 * there, too. Goes through the archive page by page until there are enough, or the signal is aborted.
 */
export async function findOfTypes(
  store: Store,
  { types, limit, ...filter }: TypesFilter,
  signal: AbortSignal,
  scan = SCAN,
): Promise<FoundEvent[]> {
  const matching = [...(await toEventParameters(store, filter)), types];
  const found: FoundEvent[] = [];
  let before: { readonly day: string | null; readonly seq: string | null } = { day: null, seq: null };
  while (found.length < limit && !signal.aborted) {
    const values = [...matching, before.day, before.seq, scan, limit - found.length];
    const [page] = (await query<Page>(store.pool, FIND, values)).rows;
    if (page === undefined) break;
    found.push(...page.found);
    if (!page.more) break;
    before = page;
  }
  return found;
}
