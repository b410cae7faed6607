import type { NewEvent } from "@penstock/intake";
import type pg from "pg";
import { connect, query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { packArrivals, unpackArrival } from "../events/arrivals.ts";
import { BATCH_EVENTS, type EventMeta, toMeta, unpackBatch } from "../events/batch-format.ts";
import { recordAudit } from "../operators/audit-log.ts";
import { isHalfGone, listDays, readToday } from "../retention/list-days.ts";
import { RETENTION_LOCK } from "../retention/run-retention.ts";
import { ensureDay } from "../schema/partitions.ts";
import { type ArchivedEvent, ledgerEntryOf, toArrival, toNewEvent } from "./archived-event.ts";

/** About as much is written in one transaction. */
const PAGE_BYTES = 4 * 1024 * 1024;
const PAGE_EVENTS = 5_000;

const MARK = statement({
  text: sql`
    INSERT INTO penstock.archives (day, url, restored_at) VALUES (${{ day: "date", url: "text" }}, now())
        ON CONFLICT (day) DO UPDATE SET restored_at = now()`,
});

const UNCOUNT = statement({ text: sql`DELETE FROM penstock.retention_counts WHERE day = ${{ day: "date" }}` });

const ERASURE_RUNS = statement({ text: sql`SELECT FROM penstock.erasures WHERE step <> 'done' LIMIT 1` });

export interface Restored {
  /** How many events were brought back. */
  readonly restored: number;
  /** How many of those given were there, or are erased. */
  readonly there: number;
}

/**
 * Brings events of one day back as they were: with their seqs, in the batches and the partitions of their day. What is there stays
 * as it is, and what was erased stays away, so that this can be done again after a crash. Retention leaves the day alone for a week.
 * Nothing is brought back while retention runs, nor while somebody is being erased: they may be in the archive still.
 * `events` are in the order of their seqs; no delivery is made.
 */
export async function restoreEvents(
  store: Store,
  { day, url, actor }: { readonly day: string; readonly url: string; readonly actor: string },
  events: AsyncIterable<ArchivedEvent>,
  detail: Readonly<Record<string, unknown>>,
): Promise<Restored | "retention-runs" | "erasure-runs"> {
  const guard = await connect(store);
  let held = false;
  try {
    held = (await query(guard, RETENTION_LOCK)).rows[0]?.mine === true;
    if (!held) return "retention-runs";
    if ((await query(guard, ERASURE_RUNS)).rowCount !== 0) return "erasure-runs";
    const stored = (await listDays(guard, await readToday(guard))).find((one) => one.day === day);
    if (stored !== undefined && isHalfGone(stored)) return "retention-runs";
    await ensureDay(guard, day);
    await inTransaction(guard, async () => {
      await query(guard, MARK, { day, url });
      await query(guard, UNCOUNT, { day });
      await recordAudit(guard, { actor, action: "archive.restore", target: day, detail });
    });
    let [restored, there] = [0, 0];
    for await (const page of pagesOf(events)) {
      const made = await inTransaction(guard, () => restorePage(guard, day, page));
      restored += made;
      there += page.length - made;
    }
    return { restored, there };
  } finally {
    guard.release(held); // the lock is the connection's
  }
}

async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query("BEGIN");
  try {
    const result = await work();
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/** Pages of whole batches. */
async function* pagesOf(events: AsyncIterable<ArchivedEvent>): AsyncGenerator<ArchivedEvent[]> {
  let page: ArchivedEvent[] = [];
  let bytes = 0;
  for await (const event of events) {
    const isNextBatch = page.length > 0 && batchOf(page.at(-1)?.seq ?? 0) !== batchOf(event.seq);
    if (isNextBatch && (bytes >= PAGE_BYTES || page.length >= PAGE_EVENTS)) {
      yield page;
      [page, bytes] = [[], 0];
    }
    page.push(event);
    bytes += event.body.length;
  }
  if (page.length > 0) yield page;
}

const batchOf = (seq: number): number => Math.floor(seq / BATCH_EVENTS);

const THERE = statement({
  rows: { seq: "text", erased: "bool" },
  text: sql`
    SELECT seq::text, false AS erased FROM penstock.events WHERE day = ${{ day: "date" }} AND seq = ANY (${{ seqs: "int8[]" }})
     UNION ALL
    SELECT seq::text, true FROM penstock.erased_events WHERE day = ${{ day: "date" }} AND seq = ANY (${{ seqs: "int8[]" }})`,
});

const BATCHES = statement({
  rows: { batch: "text", day: "text", received_us: "text", meta: "text", bodies: "bytea", arrivals: "text?" },
  text: sql`
    SELECT batch::text, day::text, (extract(epoch FROM received_at) * 1000000)::int8::text AS received_us, meta, bodies, arrivals
      FROM penstock.batches WHERE day = ${{ day: "date" }} AND batch = ANY (${{ batches: "int8[]" }}) FOR UPDATE`,
});

const WRITE = statement({
  text: sql`
    INSERT INTO penstock.batches AS b (day, batch, received_at, events, meta, bodies, arrivals)
    VALUES (${{ day: "date", batch: "int8" }}, timestamptz 'epoch' + ${{ receivedUs: "int8" }} * interval '1 microsecond',
            ${{ events: "int4", meta: "text", bodies: "bytea", arrivals: "text?" }})
        ON CONFLICT (day, batch) DO UPDATE
       SET events = excluded.events, meta = excluded.meta, bodies = excluded.bodies, arrivals = excluded.arrivals`,
});

// What was kept of a batch lies elsewhere in its bodies from now on.
const MOVE = statement({
  text: sql`
    UPDATE penstock.events e SET body_at = p.body_at
      FROM unnest(${{ seqs: "int8[]", bodiesAt: "int4[]" }}) AS p (seq, body_at)
     WHERE e.day = ${{ day: "date" }} AND e.seq = p.seq AND e.body_at <> p.body_at`,
});

const RECORD = statement({
  text: sql`
    WITH given AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${{ events: "json" }}) AS e (
        seq bigint, received_us bigint, source text, event_id text, type text, created_at timestamptz, subjects text[],
        problem text, traceparent text, body_at int, body_bytes int, replay_id text, replay_of bigint,
        reason text, detail text, key uuid, body_hash uuid)
    ), stored AS (
      INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, created_at, subjects, problem,
                                   traceparent, body_at, body_bytes, replay_id, replay_of)
      SELECT seq, ${{ day: "date" }}, timestamptz 'epoch' + received_us * interval '1 microsecond', source, event_id, type,
             created_at, subjects, problem, traceparent, body_at, body_bytes, replay_id, replay_of
        FROM given ON CONFLICT DO NOTHING
    ), quarantined AS (
      INSERT INTO penstock.quarantine (seq, day, reason, detail)
      SELECT seq, ${{ day: "date" }}, reason, detail FROM given WHERE reason IS NOT NULL ON CONFLICT DO NOTHING
    )
    INSERT INTO penstock.event_keys (key, seq, day, body_hash)
    SELECT key, seq, ${{ day: "date" }}, body_hash FROM given ORDER BY key ON CONFLICT (key) DO NOTHING`,
});

/** Brings back what is missing of a page; returns how many events that were. */
async function restorePage(client: pg.PoolClient, day: string, page: readonly ArchivedEvent[]): Promise<number> {
  const seqs = page.map(({ seq }) => seq);
  const known = (await query(client, THERE, { day, seqs })).rows;
  const there = new Set(known.flatMap(({ seq, erased }) => (erased ? [] : [Number(seq)])));
  const erased = new Set(known.flatMap(({ seq, erased }) => (erased ? [Number(seq)] : [])));
  // An archive of before an erasure, e.g. a copy of it, has what was erased.
  const missing = page.filter(({ seq, problem }) => !there.has(seq) && (problem === "erased" || !erased.has(seq)));
  if (missing.length === 0) return 0;
  const byBatch = Map.groupBy(missing, ({ seq }) => batchOf(seq));
  const { rows } = await query(client, BATCHES, { day, batches: [...byBatch.keys()] });
  for (const [batch, events] of byBatch) {
    const kept = rows.find((row) => Number(row.batch) === batch);
    const places = placesOf(kept === undefined ? [] : unpackKept(kept), events);
    const { meta, bodies, bodiesAt, count, arrivals } = packPlaces(places);
    const receivedUs = events[0]?.receivedUs ?? 0;
    await query(client, WRITE, { day, batch, receivedUs, events: count, meta, bodies, arrivals });
    const moved = bodiesAt.map((_, place) => batch * BATCH_EVENTS + place);
    if (kept !== undefined) await query(client, MOVE, { day, seqs: moved, bodiesAt });
    await query(client, RECORD, { day, events: JSON.stringify(events.map((event) => toRow(day, event, bodiesAt))) });
  }
  return missing.length;
}

/** What stands at a place of a batch; null: nothing any more. */
type Place = { readonly meta: EventMeta; readonly body: Buffer; readonly arrival: NewEvent["arrival"] } | null;

/** What is left of a batch of which some events were kept. */
function unpackKept(row: {
  batch: string;
  day: string;
  received_us: string;
  meta: string;
  bodies: Buffer;
  arrivals: string | null;
}): Place[] {
  const metas = JSON.parse(row.meta) as EventMeta[];
  return unpackBatch(row).map(({ body }, place) => {
    const meta = metas[place];
    if (meta === undefined || meta.source === "") return null;
    const arrival = unpackArrival(row.arrivals, place);
    return { meta, body, arrival: arrival === null ? null : toArrival(arrival) };
  });
}

function placesOf(kept: readonly Place[], events: readonly ArchivedEvent[]): Place[] {
  const places = [...kept];
  for (const event of events) {
    const { arrival, body, ...given } = toNewEvent(event);
    const place = event.seq % BATCH_EVENTS;
    while (places.length < place) places.push(null);
    places[place] = { meta: toMeta({ ...given, body }), body, arrival };
  }
  return places;
}

/** An empty place has no source and no bytes, as where retention has let an event of a batch go. */
const EMPTY: EventMeta = { source: "", bytes: 0 };

function packPlaces(places: readonly Place[]) {
  let end = 0;
  const bodiesAt = places.map((place) => {
    const at = end;
    end += place?.body.length ?? 0;
    return at;
  });
  return {
    meta: JSON.stringify(places.map((place) => place?.meta ?? EMPTY)),
    bodies: Buffer.concat(places.map((place) => place?.body ?? Buffer.alloc(0))),
    bodiesAt,
    count: places.filter((place) => place !== null).length,
    arrivals: packArrivals(places.map((place) => ({ arrival: place?.arrival ?? null }))),
  };
}

function toRow(day: string, event: ArchivedEvent, bodiesAt: readonly number[]) {
  const { seq, receivedUs, source, id, type, createdAt, subjects, problem, quarantine, traceparent, body, replay } =
    event;
  const { key, bodyHash } = ledgerEntryOf(day, event);
  return {
    seq,
    received_us: receivedUs,
    source,
    event_id: id,
    type,
    created_at: createdAt,
    subjects,
    problem,
    traceparent,
    body_at: bodiesAt[seq % BATCH_EVENTS] ?? 0,
    body_bytes: body.length,
    replay_id: replay?.id ?? null,
    replay_of: replay?.of ?? null,
    reason: quarantine?.reason ?? null,
    detail: quarantine?.detail ?? null,
    key,
    body_hash: bodyHash,
  };
}
