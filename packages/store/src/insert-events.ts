import type { InsertOutcome, NewEvent } from "@penstock/intake";
import { query, type Store } from "./create-store.ts";
import { ensurePartitions, isMissingPartition } from "./partitions.ts";

// The ledger first: a duplicate must lose there, before it can reach events or pending. Sorted by key, since two
// processes that insert the same keys in different orders deadlock. seq is drawn in order of arrival, before the sort.
// Keys, hashes and bodies travel as one run of bytes each, cut up here, and the rest as JSON: arrays of bytea go as hex
// text, and arrays of any kind are several times the work on both sides.
const INSERT = {
  name: "penstock-insert-events",
  text: `
    WITH given AS MATERIALIZED (
      SELECT nextval('penstock.event_seq') AS seq, (now() AT TIME ZONE 'UTC')::date AS day,
             substr($1::bytea, 32 * (nth - 1)::int + 1, 32) AS key,
             substr($2::bytea, 32 * (nth - 1)::int + 1, 32) AS body_hash,
             substr($3::bytea, body_at, body_bytes) AS body,
             source, event_id, type, created_at, subjects, problem, traceparent
        FROM ROWS FROM (json_to_recordset($4::json) AS (
               body_at int, body_bytes int, source text, event_id text, type text, created_at timestamptz,
               subjects text[], problem text, traceparent text)) WITH ORDINALITY
             AS g (body_at, body_bytes, source, event_id, type, created_at, subjects, problem, traceparent, nth)
    ), fresh AS (
      INSERT INTO penstock.event_keys (key, seq, day, body_hash)
      SELECT key, seq, day, body_hash FROM given ORDER BY key
          ON CONFLICT (key) DO NOTHING
       RETURNING key, seq
    ), stored AS (
      INSERT INTO penstock.events
             (seq, day, received_at, source, event_id, type, created_at, subjects, problem, traceparent, body)
      SELECT seq, day, now(), source, event_id, type, created_at, subjects, problem, traceparent, body
        FROM given JOIN fresh USING (key, seq)
    ), pending AS (
      INSERT INTO penstock.pending (seq, day, batch_id, bytes, accepted_at)
      SELECT seq, day, $5, octet_length(body), now() FROM given JOIN fresh USING (key, seq)
    )
    SELECT count(*)::int AS fresh, CASE WHEN count(*) < $6::int THEN array_agg(key) END AS keys FROM fresh`,
};

/**
 * Stores a batch of events in one statement: ledger, events and pending. Returns what became of each, in the order
 * given. Keys must be distinct within the batch.
 *
 * @throws DatabaseUnavailableError when Postgres is away (the outcome is then unknown; the ledger covers trying again),
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
    events.filter(({ key }) => !fresh.has(key.toString("hex"))).map(({ key }) => key),
  );
  return events.map(({ key, bodyHash }) => {
    const name = key.toString("hex");
    if (fresh.has(name)) return "new";
    return known.get(name)?.equals(bodyHash) === false ? "conflict" : "duplicate";
  });
}

/** The keys that were new, in hex; by far the most often all of them. */
async function insertFresh(store: Store, batchId: string, events: readonly NewEvent[]): Promise<Set<string> | "all"> {
  let end = 1; // substr counts from one
  const rest = events.map(({ body, source, eventId, type, createdAt, subjects, problem, traceparent }) => {
    const body_at = end;
    end += body.length;
    const times = { created_at: createdAt, body_at, body_bytes: body.length };
    return { ...times, source, event_id: eventId, type, subjects, problem, traceparent };
  });
  const values = [
    Buffer.concat(events.map(({ key }) => key)),
    Buffer.concat(events.map(({ bodyHash }) => bodyHash)),
    Buffer.concat(events.map(({ body }) => body)),
    JSON.stringify(rest),
    batchId,
    events.length,
  ];
  const insert = () => query<{ fresh: number; keys: Buffer[] | null }>(store.pool, INSERT, values);
  const { rows } = await insert().catch(async (error: unknown) => {
    if (!isMissingPartition(error)) throw error;
    // Nobody made partitions ahead for a week: make them here rather than refuse what a provider has signed.
    await ensurePartitions(store);
    return insert();
  });
  const [row] = rows;
  if (row?.fresh === events.length) return "all";
  return new Set(row?.keys?.map((key) => key.toString("hex")));
}

async function bodyHashes(store: Store, keys: readonly Buffer[]): Promise<Map<string, Buffer>> {
  const { rows } = await query<{ key: Buffer; body_hash: Buffer }>(
    store.pool,
    {
      name: "penstock-body-hashes",
      text: "SELECT key, body_hash FROM penstock.event_keys WHERE key = ANY($1::bytea[])",
    },
    [keys],
  );
  return new Map(rows.map(({ key, body_hash }) => [key.toString("hex"), body_hash]));
}
