import type { InsertOutcome, NewEvent } from "@penstock/intake";
import { query, type Store } from "./create-store.ts";
import { DatabaseUnavailableError } from "./errors.ts";
import { ensurePartitions, isMissingPartition } from "./partitions.ts";

// The ledger first: a duplicate must lose there, before it can reach events or pending. Sorted by key, since two
// processes that insert the same keys in different orders deadlock. seq is drawn in order of arrival, before the sort,
// and after the transaction has its xid (the select list is evaluated from left to right): see tail-events.ts.
// Keys, hashes and bodies travel as one run of bytes each, cut up here: arrays of bytea go as hex text, twice as long.
// Bodies first: pg grows its message from parameter to parameter, and so in one step.
const INSERT = {
  name: "penstock-insert-events",
  text: `
    WITH given AS MATERIALIZED (
      SELECT pg_current_xact_id() AS xid, nextval('penstock.event_seq') AS seq, (now() AT TIME ZONE 'UTC')::date AS day,
             substr($2::bytea, 32 * (nth - 1)::int + 1, 32) AS key,
             substr($3::bytea, 32 * (nth - 1)::int + 1, 32) AS body_hash,
             substr($1::bytea, body_at, body_bytes) AS body,
             source, event_id, type, problem, traceparent, subjects::text[] AS subjects,
             to_timestamp(created_ms / 1000) + created_ms % 1000 * interval '1 millisecond' AS created_at
        FROM unnest($4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::int8[], $10::text[], $11::text[],
                    $12::text[]) WITH ORDINALITY
             AS g (body_at, body_bytes, source, event_id, type, created_ms, subjects, problem, traceparent, nth)
    ), fresh AS (
      INSERT INTO penstock.event_keys (key, seq, day, body_hash)
      SELECT key, seq, day, body_hash FROM given ORDER BY key
          ON CONFLICT (key) DO NOTHING
       RETURNING key, seq
    ), stored AS (
      INSERT INTO penstock.events
             (seq, day, xid, received_at, source, event_id, type, created_at, subjects, problem, traceparent, body)
      SELECT seq, day, xid, now(), source, event_id, type, created_at, subjects, problem, traceparent, body
        FROM given JOIN fresh USING (key, seq)
    ), pending AS (
      INSERT INTO penstock.pending (seq, day, batch_id, bytes, accepted_at)
      SELECT seq, day, $13, octet_length(body), now() FROM given JOIN fresh USING (key, seq)
    )
    SELECT count(*)::int AS fresh, CASE WHEN count(*) < $14::int THEN array_agg(encode(key, 'hex')) END AS keys
      FROM fresh`,
};

/**
 * Stores a batch of events in one statement: ledger, events and pending. Returns what became of each, in the order
 * given. Keys must be distinct within the batch.
 *
 * @throws DatabaseUnavailableError when Postgres is away or today's partition cannot be made (the outcome is then unknown; the ledger covers trying again),
 *   else what Postgres said of the batch as a whole, e.g. a data error of one event.
 */
export async function insertEvents(
  store: Store,
  batchId: string,
  events: readonly NewEvent[],
): Promise<InsertOutcome[]> {
  const fresh = await insertFresh(store, batchId, events);
  if (fresh === "all") return events.map(() => "new");
  const known = await bodyHashes(
    store,
    events.filter(({ key }) => !fresh.has(key)).map(({ key }) => key),
  );
  return events.map(({ key, bodyHash }) => {
    if (fresh.has(key)) return "new";
    return (known.get(key) ?? bodyHash) === bodyHash ? "duplicate" : "conflict";
  });
}

/** The keys that were new; by far the most often all of them. */
async function insertFresh(store: Store, batchId: string, events: readonly NewEvent[]): Promise<Set<string> | "all"> {
  let end = 1; // substr counts from one
  const starts = events.map(({ body }) => (end += body.length) - body.length);
  const values = [
    Buffer.concat(events.map(({ body }) => body)),
    `\\x${events.map(({ key }) => key).join("")}`,
    `\\x${events.map(({ bodyHash }) => bodyHash).join("")}`,
    starts,
    events.map(({ body }) => body.length),
    events.map(({ source }) => source),
    events.map(({ eventId }) => eventId),
    events.map(({ type }) => type),
    events.map(({ createdAt }) => createdAt?.getTime() ?? null),
    events.map(({ subjects }) => toArrayLiteral(subjects)),
    events.map(({ problem }) => problem),
    events.map(({ traceparent }) => traceparent),
    batchId,
    events.length,
  ];
  const insert = () => query<{ fresh: number; keys: string[] | null }>(store.pool, INSERT, values);
  const { rows } = await insert().catch(async (error: unknown) => {
    if (!isMissingPartition(error)) throw error;
    // Nobody made partitions ahead for a week: make them here rather than refuse what a provider has signed.
    await ensurePartitions(store).catch(failWithoutPartition);
    return insert();
  });
  const [row] = rows;
  if (row?.fresh === events.length) return "all";
  return new Set(row?.keys);
}

/** No event is to blame: its sender is to try again. */
function failWithoutPartition(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new DatabaseUnavailableError(`today's partition is missing and cannot be made: ${reason}`, { cause });
}

/** As Postgres writes a text[]: arrays of different lengths make no array of arrays. */
function toArrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** The hash of the body that each key was first seen with. */
async function bodyHashes(store: Store, keys: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await query<{ key: string; body_hash: string }>(
    store.pool,
    {
      name: "penstock-body-hashes",
      text: `SELECT encode(key, 'hex') AS key, encode(body_hash, 'hex') AS body_hash
               FROM penstock.event_keys WHERE key = ANY($1::bytea[])`,
    },
    [keys.map((key) => Buffer.from(key, "hex"))],
  );
  return new Map(rows.map(({ key, body_hash }) => [key, body_hash]));
}
