import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { lockLanes, toColumns, wakeLanes } from "../deliveries/wake-lanes.ts";
import { BATCH_EVENTS, toConflict, type UnpackedEvent } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { type ErasedKeys, eraseFromBatch } from "./erase-from-batches.ts";
import { rebuildWords } from "./rebuild-words.ts";
import { createFinder, ERASED, type Finder, toLike } from "./wanted.ts";

/** What was overwritten, by kind. */
export type ErasedCounts = Readonly<Record<string, number>>;

/** Why a delivery of an event that was erased is not run. */
const EVENT_ERASED = "its event was erased";

const given = { days: "date[]", seqs: "int8[]" } as const;
const WANTED = sql`(SELECT * FROM unnest(${given}) AS w (day, seq)) AS w`;
/** Row by row by key: of a join on day and seq the planner would expect next to no rows. */
const lookUp = (table: string): string =>
  `LATERAL (SELECT * FROM penstock.${table} WHERE day = w.day AND seq = w.seq) AS t`;
const likes = { likes: "text[]" } as const;

// What replays made of an event with another body is about the same person.
const DERIVED = statement({
  rows: { day: "text", seq: "int8", conflict: "bool" },
  text: sql`
    WITH RECURSIVE made AS (
      SELECT day, seq FROM ${WANTED}
      UNION
      SELECT e.day, e.seq FROM made JOIN penstock.events e ON e.replay_of = made.seq
    )
    SELECT e.day::text, e.seq, e.problem IS NOT DISTINCT FROM 'id-conflict' AS conflict
      FROM made m, LATERAL (SELECT day, seq, problem FROM penstock.events WHERE day = m.day AND seq = m.seq LIMIT 1) AS e
     WHERE e.problem IS DISTINCT FROM 'erased' ORDER BY e.day, e.seq`,
});

const LANES = statement({
  rows: { subscriber: "text", lane: "text" },
  text: sql`
    SELECT DISTINCT t.subscriber, t.lane FROM ${WANTED}, ${lookUp("deliveries")} WHERE t.lane IS NOT NULL ORDER BY 1, 2`,
});

// A handler that runs has the event in memory, and may write of it until its delivery is done.
const RUNNING = statement({
  rows: { seq: "int8", running: "bool" },
  text: sql`
    SELECT t.seq, t.state = 'running' AS running
      FROM ${WANTED},
           LATERAL (SELECT seq, state FROM penstock.deliveries WHERE day = w.day AND seq = w.seq
                     ORDER BY subscriber FOR UPDATE) AS t`,
});

const MARK = statement({
  text: sql`
    WITH marked AS (
      INSERT INTO penstock.erased_events (day, seq, erasure, key)
      SELECT day, seq, ${{ erasure: "int4" }}, key
        FROM unnest(${{ ...given, keys: "uuid[]" }}) AS w (day, seq, key)
       WHERE key IS NOT NULL
          ON CONFLICT DO NOTHING
    )
    UPDATE penstock.events e
       SET problem = 'erased', subjects = '{}', event_id = CASE WHEN lower(e.event_id) LIKE ANY(${likes}) THEN NULL ELSE e.event_id END
      FROM ${WANTED} WHERE e.day = w.day AND e.seq = w.seq`,
});

const SKIP = statement({
  text: sql`
    WITH skipped AS (
      UPDATE penstock.deliveries d
         SET state = 'skipped', next_attempt_at = NULL, skip_reason = '${EVENT_ERASED}', changed_at = now()
        FROM ${WANTED} WHERE d.day = w.day AND d.seq = w.seq AND d.state IN ('pending', 'retrying', 'dead')
      RETURNING d.day, d.seq, d.subscriber, d.attempts, d.replay_id
    )
    INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker, replay_id, note)
    SELECT day, seq, subscriber, attempts, now(), now(), 'skipped', 'erase', replay_id, '${EVENT_ERASED}' FROM skipped`,
});

const LEAVE_LANES = statement({
  text: sql`
    UPDATE penstock.deliveries d SET lane = NULL, lane_at = NULL
      FROM ${WANTED} WHERE d.day = w.day AND d.seq = w.seq AND d.lane IS NOT NULL`,
});

// Lanes in which something else waits or runs are about events that came later, or are about others.
const DROP_LANES = statement({
  text: sql`
    DELETE FROM penstock.lanes l USING unnest(${{ subscribers: "text[]", lanes: "text[]" }}) AS w (subscriber, lane)
     WHERE l.subscriber = w.subscriber AND l.lane = w.lane
       AND NOT EXISTS (SELECT FROM penstock.deliveries d
                        WHERE d.subscriber = l.subscriber AND d.lane = l.lane
                          AND d.state IN ('pending', 'running', 'retrying', 'dead'))`,
});

const ATTEMPTS = statement({
  text: sql`
    UPDATE penstock.attempts a SET error_message = CASE WHEN a.error_message IS NOT NULL THEN '${ERASED}' END,
           error_class = CASE WHEN lower(a.error_class) LIKE ANY(${likes}) THEN '${ERASED}' ELSE a.error_class END
      FROM ${WANTED} WHERE a.day = w.day AND a.seq = w.seq AND (a.error_message IS NOT NULL OR a.error_class IS NOT NULL)`,
});

const EFFECTS = statement({
  text: sql`
    UPDATE penstock.effects f SET result = 'null', key = t.key
      FROM (SELECT t.day, t.seq, t.subscriber, t.generation, t.key AS old,
                   CASE WHEN lower(t.key) LIKE ANY(${likes}) THEN 'erased ' || row_number() OVER (PARTITION BY t.seq ORDER BY t.key)
                        ELSE t.key END AS key
              FROM ${WANTED}, ${lookUp("effects")}) AS t
     WHERE f.day = t.day AND f.seq = t.seq AND f.subscriber = t.subscriber AND f.generation = t.generation AND f.key = t.old`,
});

const QUARANTINE = statement({
  text: sql`
    UPDATE penstock.quarantine q SET detail = NULL, dismissed_at = coalesce(q.dismissed_at, now())
      FROM ${WANTED} WHERE q.day = w.day AND q.seq = w.seq`,
});

const DRY_RUNS = statement({
  text: sql`DELETE FROM penstock.dry_runs r USING ${WANTED} WHERE r.day = w.day AND r.seq = w.seq`,
});

const COPIES = statement({
  rows: { day: "text", batch: "int8" },
  text: sql`
    SELECT DISTINCT b.day::text, b.batch
      FROM (SELECT received_at FROM penstock.event_copies WHERE seq = ANY(${{ seqs: "int8[]" }})) AS c
      JOIN penstock.batches b ON b.day = (c.received_at AT TIME ZONE 'UTC')::date AND b.received_at = c.received_at`,
});

export interface EventsErased {
  readonly counts: ErasedCounts;
  /** Some of the events belong to deliveries that run: they are erased once these are done. */
  readonly running: readonly EventPointer[];
}

/**
 * Erases events, and those that replays made of them, with all that was made of them. Their deliveries that wait or are dead are
 * skipped. The transaction of the caller decides whether anything of it happens.
 */
export async function eraseEvents(
  client: pg.PoolClient,
  events: readonly EventPointer[],
  { erasure, values }: { readonly erasure: number; readonly values: readonly string[] },
): Promise<EventsErased> {
  if (events.length === 0) return { counts: {}, running: [] };
  const finder = createFinder(values);
  const likes = values.map(toLike);
  const derived = (await query(client, DERIVED, toPointers(events))).rows.map(({ day, seq, conflict }) => ({
    day,
    seq: Number(seq),
    conflict,
  }));
  // Before the deliveries, in the order in which a claim takes them.
  const lanes = (await query(client, LANES, toPointers(derived))).rows;
  await lockLanes(client, lanes);
  const deliveries = await query(client, RUNNING, toPointers(derived));
  const isRunning = new Set(deliveries.rows.filter(({ running }) => running).map(({ seq }) => Number(seq)));
  const erased = derived.filter(({ seq }) => !isRunning.has(seq));
  const running = derived.filter(({ seq }) => isRunning.has(seq));
  if (erased.length === 0) return { counts: {}, running };
  const wanted = toPointers(erased);

  const batches = Map.groupBy(erased, ({ seq }) => Math.floor(seq / BATCH_EVENTS));
  const keyOf = new Map<number, string>();
  for (const [batch, of] of [...batches].toSorted(([a], [b]) => a - b)) {
    const isConflict = new Map(of.map(({ seq, conflict }) => [seq, conflict]));
    const keyOfErased = (event: UnpackedEvent): string | null => {
      const conflict = isConflict.get(event.seq);
      if (conflict === undefined) return null;
      return conflict ? toConflict(event).key : event.key;
    };
    const keys = await eraseFromBatch(client, { day: of[0]?.day ?? "", batch, keyOfErased }, finder);
    for (const [place, key] of keys) keyOf.set(batch * BATCH_EVENTS + place, key);
  }
  const keys = erased.map(({ seq }) => keyOf.get(seq) ?? null);
  await query(client, MARK, { ...wanted, keys, likes, erasure });
  const copies = await eraseCopies(client, { seqs: wanted.seqs, keys }, finder);
  await query(client, SKIP, wanted);
  await query(client, LEAVE_LANES, wanted);
  await wakeLanes(client, lanes);
  if (lanes.length > 0) await query(client, DROP_LANES, toColumns(lanes));
  const attempts = await query(client, ATTEMPTS, { ...wanted, likes });
  const effects = await query(client, EFFECTS, { ...wanted, likes });
  const quarantined = await query(client, QUARANTINE, wanted);
  await query(client, DRY_RUNS, wanted);
  return {
    running,
    counts: {
      events: erased.length,
      copies,
      batches: batches.size,
      deliveries: deliveries.rows.length,
      attempts: attempts.rowCount ?? 0,
      effects: effects.rowCount ?? 0,
      quarantine: quarantined.rowCount ?? 0,
      filters: await rebuildWords(client, erased),
    },
  };
}

// What has a row of its own in a batch is no copy: another event may have come with the same id.
const OWN = statement({
  rows: { seq: "int8" },
  text: sql`
    SELECT seq FROM penstock.events
     WHERE day = ${{ day: "date" }} AND seq BETWEEN ${{ first: "int8" }} AND ${{ last: "int8" }}`,
});

/** Erases copies of events from the batches that they came with; returns how many. */
async function eraseCopies(
  client: pg.PoolClient,
  { seqs, keys }: { readonly seqs: readonly number[]; readonly keys: readonly (string | null)[] },
  finder: Finder,
): Promise<number> {
  const known = new Set(keys.flatMap((key) => (key === null ? [] : [plain(key)])));
  const { rows } = await query(client, COPIES, { seqs });
  let copies = 0;
  for (const { day, batch } of rows) {
    const first = Number(batch) * BATCH_EVENTS;
    const stored = await query(client, OWN, { day, first, last: first + BATCH_EVENTS - 1 });
    const own = new Set(stored.rows.map(({ seq }) => Number(seq)));
    const keyOfErased = (event: UnpackedEvent): string | null => {
      if (own.has(event.seq)) return null;
      return [event.key, toConflict(event).key].find((key) => known.has(plain(key))) ?? null;
    };
    const erased: ErasedKeys = await eraseFromBatch(client, { day, batch: Number(batch), keyOfErased }, finder);
    copies += erased.size;
  }
  return copies;
}

/** A key as uuid may be written with hyphens. */
const plain = (key: string): string => key.replaceAll("-", "");

export const toPointers = (events: readonly EventPointer[]) => ({
  days: events.map(({ day }) => day),
  seqs: events.map(({ seq }) => seq),
});
