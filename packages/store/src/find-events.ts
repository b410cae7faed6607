import { OWN_SOURCE } from "@penstock/schemas";
import { keyOfId } from "@penstock/sources";
import { query, type Store } from "./create-store.ts";
import { PARTITION_DAYS } from "./partitions.ts";

/** Where an event lies. */
export interface EventPointer {
  readonly day: string;
  readonly seq: number;
}

// By the ledger, whose key is made of source and id, so that no event pays for an index by id. Those that the ledger has
// under another key, or whose id is stored other than it was sent, have a small index of their own (0008).
const FIND = `
  SELECT day::text, seq::text FROM (
    SELECT k.day, k.seq FROM penstock.event_keys k WHERE k.key = ANY($1::bytea[])
    UNION
    SELECT e.day, e.seq FROM penstock.events e
     WHERE e.event_id = $2 AND (e.problem = 'id-conflict' OR octet_length(e.event_id) >= 256
                                OR strpos(e.event_id, U&'\\FFFD') > 0)
       AND ($3::text IS NULL OR e.source = $3)
    UNION
    SELECT e.day, e.seq
      FROM (${PARTITION_DAYS}) AS partition JOIN penstock.events e ON e.day = partition.day AND e.seq = $4::bigint
     WHERE $4::bigint IS NOT NULL AND ($3::text IS NULL OR e.source = $3)
  ) AS found ORDER BY seq DESC LIMIT 100`;

/**
 * Events with this id or this seq, the newest first: an id can stand for several when bodies conflict. Looks for the id
 * with all sources of the store, or with the one that is named.
 */
export async function findEvents(store: Store, idOrSeq: string, source?: string): Promise<EventPointer[]> {
  const keys = (source === undefined ? [...store.sources, OWN_SOURCE] : [source]).map((name) =>
    Buffer.from(keyOfId(name, idOrSeq), "hex"),
  );
  const seq = /^\d{1,15}$/.test(idOrSeq) ? Number(idOrSeq) : null;
  // Postgres text holds neither a NUL nor half a character, so no id that is stored does.
  const id = idOrSeq.toWellFormed().replaceAll("\0", "\ufffd");
  const { rows } = await query<{ day: string; seq: string }>(store.pool, FIND, [keys, id, source ?? null, seq]);
  return rows.map(({ day, seq }) => ({ day, seq: Number(seq) }));
}
