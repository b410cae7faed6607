import type { BatchClaim, ClaimedBatches, StoredEvent } from "@penstock/engine";
import type pg from "pg";
import {
  BATCH_EVENTS,
  type BatchRow,
  isSameBody,
  toConflict,
  type UnpackedEvent,
  unpackBatch,
} from "./batch-format.ts";
import { claimBatches } from "./claim-batches.ts";
import { query, type Queryable } from "../connection/create-store.ts";
import { eraseLateCopies } from "../erase/erase-late-copies.ts";
import { readReplays } from "../replay/replay-columns.ts";
import type { RecentWords } from "../search/record-words.ts";
import { column, sql, statement } from "../connection/sql.ts";

// The ledger first: a duplicate must lose there. Sorted by key, since two transactions that insert the same keys in different
// orders deadlock. The insert waits for a key that another transaction has inserted and not committed.
const batches = { batches: "int8[]" } as const;
const count = { count: "int4" } as const;

const RECORD = statement({
  name: "penstock-record-events",
  rows: { fresh: "int4", seqs: column<string[] | null>("text[]") },
  text: sql`
    WITH given AS MATERIALIZED (
      SELECT key, body_hash, seq, b.day, timestamptz 'epoch' + b.received_us * interval '1 microsecond' AS received_at,
             source, event_id, type, problem, traceparent, subjects::text[] AS subjects,
             to_timestamp(created_ms / 1000) + created_ms % 1000 * interval '1 millisecond' AS created_at,
             body_at, body_bytes, replay_id, replay_of
        FROM unnest(${{ seqs: "int8[]", sources: "text[]", ids: "text[]", types: "text[]", createdMs: "int8[]" }},
                    ${{ subjects: "text[]", problems: "text[]", traceparents: "text[]", bodiesAt: "int4[]" }},
                    ${{ bodiesBytes: "int4[]", replayIds: "text[]", replaysOf: "int8[]" }},
                    ${{ keys: "uuid[]", bodyHashes: "uuid[]" }})
             AS g (seq, source, event_id, type, created_ms, subjects, problem, traceparent, body_at, body_bytes,
                   replay_id, replay_of, key, body_hash)
        JOIN unnest(${batches}, ${{ days: "date[]", receivedUs: "int8[]" }}) AS b (batch, day, received_us) ON b.batch = g.seq / 1024
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
      DELETE FROM penstock.pending WHERE batch = ANY (${batches})
    )
    SELECT count(*)::int AS fresh, CASE WHEN count(*) < ${count} THEN array_agg(seq::text) END AS seqs FROM fresh`,
});

const HASHES = statement({
  name: "penstock-body-hashes",
  rows: { key: "text", body_hash: "text" },
  text: sql`SELECT encode(uuid_send(key), 'hex') AS key, encode(uuid_send(body_hash), 'hex') AS body_hash
           FROM penstock.event_keys WHERE key = ANY (${{ keys: "uuid[]" }})`,
});

interface TakenInto {
  readonly begun: Promise<void>;
  readonly words: RecentWords;
  readonly afterCommit: (work: () => void) => void;
}

/** Claims pending batches and records their new events; see EngineTransaction.claimBatches. */
export async function takeBatches(
  client: pg.PoolClient,
  claim: BatchClaim,
  { begun, words, afterCommit }: TakenInto,
): Promise<ClaimedBatches> {
  const { rows, more } = await claimBatches(client, claim);
  await begun;
  const batches = rows.map(({ batch }) => Number(batch));
  claim.onTaken?.(batches);
  if (rows.length === 0) return { batches, events: [], more, duplicates: 0, conflicts: 0 };
  const unpacked = rows.flatMap(unpackBatch);
  const recorded = await recordEvents(client, rows, unpacked);
  await dropCopies(client, rows, recorded);
  const receivedAt = new Map(rows.map(({ batch, received_us }) => [Number(batch), Number(received_us) / 1_000]));
  afterCommit(() => words.add(recorded, new Map(rows.map(({ batch, received_us }) => [Number(batch), received_us]))));
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
      receivedAt: new Date(receivedAt.get(Math.floor(seq / BATCH_EVENTS)) ?? NaN),
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

/** Writes the ledger and the events, and resolves to the new events. */
async function recordEvents(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  events: readonly UnpackedEvent[],
): Promise<UnpackedEvent[]> {
  const first = new Map<string, UnpackedEvent>();
  for (const event of events) if (!first.has(event.key)) first.set(event.key, event);
  const fresh = await insert(client, batches, [...first.values()]);
  if (fresh.length === events.length) return fresh;
  // Duplicates, and events with another body under a known id.
  const isFresh = new Set(fresh);
  const others = events.filter((event) => !isFresh.has(event));
  const known = await readHashes(client, [...new Set(others.map(({ key }) => key))]);
  const conflicts = new Map<string, UnpackedEvent>();
  const copies: UnpackedEvent[] = [];
  for (const event of others) {
    if (isSameBody(known.get(event.key), event.bodyHash)) {
      copies.push(event);
      continue;
    }
    const conflict = toConflict(event);
    if (conflicts.has(conflict.key)) copies.push(conflict);
    else conflicts.set(conflict.key, conflict);
  }
  const kept = conflicts.size === 0 ? [] : await insert(client, batches, [...conflicts.values()]);
  const recorded = new Set(kept.map(({ seq }) => seq));
  for (const conflict of conflicts.values()) if (!recorded.has(conflict.seq)) copies.push(conflict);
  await recordCopies(client, batches, copies);
  await eraseLateCopies(client, copies);
  return [...fresh, ...kept].toSorted((a, b) => a.seq - b.seq);
}

// By the ledger, which knows the event that was there before. Its key is unique, so this reads one entry per copy.
const RECORD_COPIES = statement({
  name: "penstock-record-copies",
  text: sql`
    INSERT INTO penstock.event_copies (seq, received_at)
    SELECT k.seq, timestamptz 'epoch' + c.received_us * interval '1 microsecond'
      FROM unnest(${{ keys: "uuid[]", receivedUs: "int8[]" }}) AS c (key, received_us)
           JOIN penstock.event_keys k ON k.key = c.key`,
});

/** Writes down that events came again, for whoever looks at one of them. */
async function recordCopies(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  copies: readonly UnpackedEvent[],
): Promise<void> {
  if (copies.length === 0) return;
  const receivedUs = new Map(batches.map(({ batch, received_us }) => [Number(batch), received_us]));
  await query(client, RECORD_COPIES, {
    keys: copies.map(({ key }) => key),
    receivedUs: copies.map(({ seq }) => receivedUs.get(Math.floor(seq / BATCH_EVENTS))),
  });
}

/** Inserts events, and resolves to those whose keys were new: mostly all of them. */
async function insert(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  events: readonly UnpackedEvent[],
): Promise<UnpackedEvent[]> {
  const { rows } = await query(client, RECORD, {
    keys: events.map(({ key }) => key),
    bodyHashes: events.map(({ bodyHash }) => bodyHash),
    seqs: events.map(({ seq }) => seq),
    sources: events.map(({ source }) => source),
    ids: events.map(({ id }) => id),
    types: events.map(({ type }) => type),
    createdMs: events.map(({ createdAt }) => createdAt?.getTime()),
    subjects: events.map(({ subjects }) => toArrayLiteral(subjects)),
    problems: events.map(({ problem }) => problem),
    traceparents: events.map(({ traceparent }) => traceparent),
    bodiesAt: events.map(({ bodyAt }) => bodyAt),
    bodiesBytes: events.map(({ body }) => body.length),
    replayIds: events.map(({ replayId }) => replayId),
    replaysOf: events.map(({ replayOf }) => replayOf),
    batches: batches.map(({ batch }) => batch),
    days: batches.map(({ day }) => day),
    receivedUs: batches.map(({ received_us }) => received_us),
    count: events.length,
  });
  const [row] = rows;
  if (row?.fresh === events.length) return [...events];
  const seqs = new Set(row?.seqs?.map(Number));
  return events.filter(({ seq }) => seqs.has(seq));
}

/** A text[] in the notation of Postgres, which has no arrays of arrays of different lengths. */
function toArrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

/** Reads the hash of the first body of each key. */
export async function readHashes(client: Queryable, keys: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await query(client, HASHES, { keys });
  return new Map(rows.map(({ key, body_hash }) => [key, body_hash]));
}

const DROP = statement({
  text: sql`
    DELETE FROM penstock.batches b USING unnest(${{ days: "date[]", batches: "int8[]" }}) AS c (day, batch)
     WHERE b.day = c.day AND b.batch = c.batch`,
});

/** Deletes batches of duplicates only: nothing refers to them. */
async function dropCopies(
  client: pg.PoolClient,
  batches: readonly BatchRow[],
  recorded: readonly UnpackedEvent[],
): Promise<void> {
  const kept = new Set(recorded.map(({ seq }) => Math.floor(seq / BATCH_EVENTS)));
  const copies = batches.filter(({ batch }) => !kept.has(Number(batch)));
  if (copies.length === 0) return;
  await query(client, DROP, { days: copies.map(({ day }) => day), batches: copies.map(({ batch }) => batch) });
}
