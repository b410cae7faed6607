import type { BatchClaim, ClaimedBatches, StoredEvent } from "@penstock/engine";
import type pg from "pg";
import { type BatchRow, toConflict, type UnpackedEvent, unpackBatch } from "./batch-format.ts";
import { claimBatches } from "./claim-batches.ts";
import { query } from "./create-store.ts";
import { readReplays } from "./replay-columns.ts";

// The ledger first: a duplicate must lose there. Sorted by key, since two transactions that insert the same keys in
// different orders deadlock. A key that another transaction has inserted and not committed is waited for.
// Keys and hashes travel as one run of bytes each, cut up here: arrays of bytea are twice as long.
const RECORD = {
  name: "penstock-record-events",
  text: `
    WITH given AS MATERIALIZED (
      SELECT substr($1::bytea, 32 * (nth - 1)::int + 1, 32) AS key,
             substr($2::bytea, 32 * (nth - 1)::int + 1, 32) AS body_hash,
             seq, b.day, timestamptz 'epoch' + b.received_us * interval '1 microsecond' AS received_at,
             source, event_id, type, problem, traceparent, subjects::text[] AS subjects,
             to_timestamp(created_ms / 1000) + created_ms % 1000 * interval '1 millisecond' AS created_at,
             body_at, body_bytes, replay_id, replay_of
        FROM unnest($3::int8[], $4::text[], $5::text[], $6::text[], $7::int8[], $8::text[], $9::text[], $10::text[],
                    $11::int[], $12::int[], $13::text[], $14::int8[]) WITH ORDINALITY
             AS g (seq, source, event_id, type, created_ms, subjects, problem, traceparent, body_at, body_bytes,
                   replay_id, replay_of, nth)
        JOIN unnest($15::int8[], $16::date[], $17::int8[]) AS b (batch, day, received_us) ON b.batch = g.seq / 1024
    ), fresh AS (
      INSERT INTO penstock.event_keys (key, seq, day, body_hash)
      SELECT key, seq, day, body_hash FROM given ORDER BY key
          ON CONFLICT (key) DO NOTHING
       RETURNING seq
    ), stored AS (
      INSERT INTO penstock.events
             (seq, day, received_at, source, event_id, type, created_at, subjects, problem, traceparent, body_at,
              body_bytes, replay_id, replay_of)
      SELECT seq, day, received_at, source, event_id, type, created_at, subjects, problem, traceparent, body_at,
             body_bytes, replay_id, replay_of
        FROM given JOIN fresh USING (seq)
    ), taken AS (
      DELETE FROM penstock.pending WHERE batch = ANY ($15)
    )
    SELECT count(*)::int AS fresh, CASE WHEN count(*) < $18::int THEN array_agg(seq::text) END AS seqs FROM fresh`,
};

const HASHES = {
  name: "penstock-body-hashes",
  text: `SELECT encode(key, 'hex') AS key, encode(body_hash, 'hex') AS body_hash
           FROM penstock.event_keys WHERE key = ANY ($1::bytea[])`,
};

/** Takes pending batches and records which of their events are new; see EngineTransaction.claimBatches. */
export async function takeBatches(
  client: pg.PoolClient,
  claim: BatchClaim,
  begun: Promise<void>,
): Promise<ClaimedBatches> {
  const { rows, more } = await claimBatches(client, claim);
  await begun;
  const batches = rows.map(({ batch }) => Number(batch));
  if (rows.length === 0) return { batches, events: [], more, duplicates: 0, conflicts: 0 };
  const unpacked = rows.flatMap(unpackBatch);
  const recorded = await recordEvents(client, rows, unpacked);
  await dropCopies(client, rows, recorded);
  const receivedAt = new Map(rows.map(({ batch, received_us }) => [Number(batch), Number(received_us) / 1_000]));
  const replays = await readReplays(
    client,
    recorded.flatMap(({ replayId }) => (replayId === null ? [] : [replayId])),
  );
  const events = recorded.map((event): StoredEvent => {
    const { seq, day, source, id, type, subjects, createdAt, body, problem, traceparent, replayId } = event;
    return {
      seq,
      day,
      source,
      eventId: id,
      type,
      subject: subjects[0] ?? null,
      createdAt,
      receivedAt: new Date(receivedAt.get(Math.floor(seq / 1_024)) ?? NaN),
      body,
      problem,
      traceparent,
      replay: (replayId === null ? undefined : replays.get(replayId)) ?? null,
    };
  });
  return {
    batches,
    events,
    more,
    duplicates: unpacked.length - recorded.length,
    conflicts: recorded.filter(({ problem }) => problem === "id-conflict").length,
  };
}

/** Writes the ledger and the events, and returns those that are no copies of others. */
async function recordEvents(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  events: readonly UnpackedEvent[],
): Promise<UnpackedEvent[]> {
  const first = new Map<string, UnpackedEvent>();
  for (const event of events) if (!first.has(event.key)) first.set(event.key, event);
  const fresh = await insert(client, batches, [...first.values()]);
  if (fresh.length === events.length) return fresh;
  // Copies, in this transaction or of what was there before, and other bodies under an id that is taken.
  const isFresh = new Set(fresh);
  const others = events.filter((event) => !isFresh.has(event));
  const known = await readHashes(client, [...new Set(others.map(({ key }) => key))]);
  const conflicts = new Map<string, UnpackedEvent>();
  for (const event of others) {
    if (known.get(event.key) === event.bodyHash) continue;
    const conflict = toConflict(event);
    if (!conflicts.has(conflict.key)) conflicts.set(conflict.key, conflict);
  }
  if (conflicts.size === 0) return fresh;
  return [...fresh, ...(await insert(client, batches, [...conflicts.values()]))].toSorted((a, b) => a.seq - b.seq);
}

/** Returns those whose keys were new; by far the most often all of them. */
async function insert(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  events: readonly UnpackedEvent[],
): Promise<UnpackedEvent[]> {
  const { rows } = await query<{ fresh: number; seqs: string[] | null }>(client, RECORD, [
    `\\x${events.map(({ key }) => key).join("")}`,
    `\\x${events.map(({ bodyHash }) => bodyHash).join("")}`,
    events.map(({ seq }) => seq),
    events.map(({ source }) => source),
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ createdAt }) => createdAt?.getTime() ?? null),
    events.map(({ subjects }) => toArrayLiteral(subjects)),
    events.map(({ problem }) => problem),
    events.map(({ traceparent }) => traceparent),
    events.map(({ bodyAt }) => bodyAt),
    events.map(({ body }) => body.length),
    events.map(({ replayId }) => replayId),
    events.map(({ replayOf }) => replayOf),
    batches.map(({ batch }) => batch),
    batches.map(({ day }) => day),
    batches.map(({ received_us }) => received_us),
    events.length,
  ]);
  const [row] = rows;
  if (row?.fresh === events.length) return [...events];
  const seqs = new Set(row?.seqs?.map(Number));
  return events.filter(({ seq }) => seqs.has(seq));
}

/** As Postgres writes a text[]: arrays of different lengths make no array of arrays. */
function toArrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** The hash of the body that each key was first seen with. */
async function readHashes(client: pg.PoolClient, keys: readonly string[]): Promise<Map<string, string>> {
  const values = [keys.map((key) => Buffer.from(key, "hex"))];
  const { rows } = await query<{ key: string; body_hash: string }>(client, HASHES, values);
  return new Map(rows.map(({ key, body_hash }) => [key, body_hash]));
}

/** Deletes batches that hold nothing but copies: nobody will ever read them. */
async function dropCopies(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  recorded: readonly UnpackedEvent[],
): Promise<void> {
  const kept = new Set(recorded.map(({ seq }) => Math.floor(seq / 1_024)));
  const copies = batches.filter(({ batch }) => !kept.has(Number(batch)));
  if (copies.length === 0) return;
  await query(
    client,
    `DELETE FROM penstock.batches b USING unnest($1::date[], $2::int8[]) AS c (day, batch)
      WHERE b.day = c.day AND b.batch = c.batch`,
    [copies.map(({ day }) => day), copies.map(({ batch }) => batch)],
  );
}
