import { OWN_SOURCE, toStorableText } from "@penstock/schemas";
import { keyOfId } from "@penstock/sources";
import { query, type Store } from "../connection/create-store.ts";
import { PARTITION_DAYS } from "../schema/partitions.ts";
import { sql, statement } from "../connection/sql.ts";

/** The key of an event. */
export interface EventPointer {
  readonly day: string;
  readonly seq: number;
}

// By the ledger, whose key is made of source and id, so that no event pays for an index by id. Events with another key in the
// ledger, or whose id is stored otherwise than it was sent, have a small index of their own.
const source = { source: "text?" } as const;
const seq = { seq: "int8?" } as const;

const FIND = statement({
  rows: { day: "text", seq: "int8" },
  text: sql`
    SELECT day::text, seq FROM (
      SELECT k.day, k.seq FROM penstock.event_keys k WHERE k.key = ANY(${{ keys: "uuid[]" }})
         AND EXISTS (SELECT FROM penstock.events e WHERE e.day = k.day AND e.seq = k.seq) -- the ledger outlives it
      UNION
      SELECT e.day, e.seq FROM penstock.events e
       WHERE e.event_id = ${{ id: "text?" }} AND (e.problem = 'id-conflict' OR octet_length(e.event_id) >= 256
                                  OR strpos(e.event_id, U&'\\FFFD') > 0)
         AND (${source} IS NULL OR e.source = ${source})
      UNION
      SELECT e.day, e.seq
        FROM (${PARTITION_DAYS}) AS partition JOIN penstock.events e ON e.day = partition.day AND e.seq = ${seq}
       WHERE ${seq} IS NOT NULL AND (${source} IS NULL OR e.source = ${source})
    ) AS found ORDER BY seq DESC LIMIT 100`,
});

const SEQ = /^seq:(\d{1,15})$/;

/** Reads the name of an event: an id; or a number, which may also be a seq; `seq:7` is a seq in any case. */
export function readIdOrSeq(idOrSeq: string): { readonly id?: string; readonly seq?: number } {
  const [, named] = SEQ.exec(idOrSeq) ?? [];
  if (named !== undefined) return { seq: Number(named) };
  return { id: idOrSeq, ...(/^\d{1,15}$/.test(idOrSeq) && { seq: Number(idOrSeq) }) };
}

/**
 * Processed events with this id, the newest first: an id can stand for several when bodies conflict. A number that is no
 * event's id is a seq; `seq:7` is one in any case. Looks for the id with all sources of the store, or with the one that is
 * named.
 */
export async function findEvents(store: Store, idOrSeq: string, source?: string): Promise<EventPointer[]> {
  const { id, seq } = readIdOrSeq(idOrSeq);
  const found = id === undefined ? [] : await find(store, { id, source });
  return found.length === 0 && seq !== undefined ? find(store, { seq, source }) : found;
}

const RECENT_SOURCES = statement({
  rows: { source: "text" },
  text: sql`
    SELECT DISTINCT source FROM (
      SELECT source FROM penstock.events e ORDER BY e.day DESC, e.seq DESC LIMIT 2000) AS recent`,
});

/** Those that the store was opened with; else those of the newest events: the console has no list of sources. */
async function sourcesOf(store: Store): Promise<readonly string[]> {
  if (store.sources.length > 0) return store.sources;
  return (await query(store.pool, RECENT_SOURCES)).rows.map(({ source }) => source);
}

/** The keys that the ledger may have an event under with this id. */
export async function keysOf(store: Store, id: string, source?: string): Promise<string[]> {
  const sources = source === undefined ? [...(await sourcesOf(store)), OWN_SOURCE] : [source];
  return sources.map((name) => keyOfId(name, id));
}

async function find(
  store: Store,
  { id, seq, source }: { readonly id?: string; readonly seq?: number; readonly source: string | undefined },
): Promise<EventPointer[]> {
  const keys = id === undefined ? [] : await keysOf(store, id, source);
  // No stored id holds a NUL or half a character, which Postgres text cannot hold.
  const stored = id === undefined ? null : toStorableText(id);
  const { rows } = await query(store.pool, FIND, { keys, id: stored, source, seq });
  return rows.map(({ day, seq }) => ({ day, seq: Number(seq) }));
}
