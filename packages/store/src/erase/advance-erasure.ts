import { randomUUID } from "node:crypto";
import { OWN_SOURCE, SUBJECT_ERASED, type SubjectErased } from "@penstock/schemas";
import type pg from "pg";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { insertBatch } from "../events/insert-batch.ts";
import { recordAudit } from "../operators/audit-log.ts";
import { isRetentionHalfDone, keepRetentionOut } from "../retention/run-retention.ts";
import { eraseEvents, type ErasedCounts } from "./erase-events.ts";
import { eraseTexts } from "./erase-texts.ts";
import { type ErasureJob, type ErasureStep, renewErasure } from "./erasures.ts";
import { findMatches } from "./find-matches.ts";
import { isInTexts, toLooks } from "./wanted.ts";

/** What keeps an erasure from going on; null: nothing does. */
export type Waiting = string | null;

const AT_ONCE = 200;
const RETENTION: Waiting = "retention, which is moving a day";

// All that arrived before is in `events`: no transaction is open that may still bring a batch, and none is pending.
const IS_SETTLED = statement({
  rows: { written: "bool", pending: "int4" },
  text: sql`
    SELECT pg_snapshot_xmin(pg_current_snapshot()) > e.xid AS written,
           (SELECT count(*)::int FROM penstock.pending p WHERE p.batch <= e.last_batch) AS pending
      FROM penstock.erasures e WHERE id = ${{ id: "int4" }}`,
});

const ADVANCE = statement({
  text: sql`
    UPDATE penstock.erasures
       SET step = ${{ step: "text" }}, look = ${{ look: "int4" }}, look_day = ${{ day: "date?" }}, look_seq = ${{ seq: "int8?" }},
           found = ${{ found: "int4" }},
           counts = counts || (SELECT coalesce(jsonb_object_agg(key, value::int8 + coalesce((counts ->> key)::int8, 0)), '{}')
                                 FROM jsonb_each_text(${{ counts: "jsonb" }}))
     WHERE id = ${{ id: "int4" }} AND step <> 'done'`,
});

interface Place {
  readonly step: ErasureStep;
  readonly look?: number;
  readonly below?: EventPointer | null;
  readonly found?: number;
}

async function advance(
  db: Parameters<typeof query>[0],
  id: number,
  { step, look = 0, below = null, found = 0 }: Place,
  counts: ErasedCounts = {},
): Promise<void> {
  const named = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  await query(db, ADVANCE, { id, step, look, day: below?.day, seq: below?.seq, found, counts: JSON.stringify(named) });
}

/** Does the next part of an erasure, in the steps that need no handler. A stop is heard in between. */
export async function advanceErasure(store: Store, job: ErasureJob, signal: AbortSignal): Promise<Waiting> {
  if (job.step === "events") return eraseFoundEvents(store, job, signal);
  if (job.step === "texts") return eraseOtherTexts(store, job);
  return tell(store, job);
}

const valuesOf = ({ wanted }: ErasureJob): string[] => wanted.filter(isInTexts).map(({ value }) => value);

async function eraseFoundEvents(store: Store, job: ErasureJob, signal: AbortSignal): Promise<Waiting> {
  const [settled] = (await query(store.pool, IS_SETTLED, { id: job.id })).rows;
  if (settled?.written !== true) return "a transaction that was open when it was asked for";
  if (settled.pending > 0) return `${settled.pending} batches that no worker has processed yet`;
  if (await isRetentionHalfDone(store)) return RETENTION;
  const looks = toLooks(job.wanted);
  let { found } = job;
  let isRunning = false;
  for (const [nth, look] of looks.entries()) {
    if (nth < job.look) continue;
    const before = nth === job.look ? job.below : null;
    for await (const step of findMatches(store, look, { lastBatch: job.lastBatch, before, wanted: AT_ONCE })) {
      found += step.found.length;
      const at: Place = { step: "events", look: nth, below: step.downTo, found };
      const erased = await transaction(store, async (client) => {
        if (!(await keepRetentionOut(client))) return null;
        const { running, counts } = await eraseEvents(client, step.found, { erasure: job.id, values: valuesOf(job) });
        await advance(client, job.id, at, counts);
        return { running };
      });
      if (erased === null) return RETENTION;
      isRunning ||= erased.running.length > 0;
      if (signal.aborted) return null;
      await renewErasure(store, job.id);
    }
  }
  // What was found may have had something else made of it meanwhile: once more, until nothing is left.
  await advance(store.pool, job.id, { step: found > 0 ? "events" : "texts" });
  return isRunning ? "deliveries that run at this moment" : null;
}

async function eraseOtherTexts(store: Store, job: ErasureJob): Promise<Waiting> {
  if (await isRetentionHalfDone(store)) return RETENTION;
  const counts = await eraseTexts(store, valuesOf(job), () => renewErasure(store, job.id));
  // What a day has that went half meanwhile was not seen.
  if (counts === null || (await isRetentionHalfDone(store))) return RETENTION;
  await advance(store.pool, job.id, { step: "handlers" }, counts);
  return null;
}

/** Ends the step of handlers, and of the archive. */
export async function endHandlersStep(store: Store, { id }: ErasureJob, counts: ErasedCounts = {}): Promise<void> {
  await advance(store.pool, id, { step: "told" }, counts);
}

const IS_WANTED = statement({
  text: sql`SELECT FROM penstock.handlers WHERE ${{ type: "text" }} = ANY(types) LIMIT 1`,
});

const TOLD = statement({
  text: sql`UPDATE penstock.erasures SET told_batch = ${{ batch: "int8" }}, told_day = (now() AT TIME ZONE 'UTC')::date
     WHERE id = ${{ id: "int4" }}`,
});

const TOLD_EVENTS = statement({
  rows: { events: column<readonly EventPointer[]>("json"), waiting: "int4" },
  text: sql`
    SELECT coalesce((SELECT json_agg(json_build_object('day', day, 'seq', seq)) FROM penstock.events
                      WHERE day = x.told_day AND seq BETWEEN ${{ first: "int8" }} AND ${{ last: "int8" }}), '[]') AS events,
           (SELECT count(*)::int FROM penstock.pending WHERE batch = x.told_batch)
             + (SELECT count(*)::int FROM penstock.deliveries
                 WHERE day = x.told_day AND seq BETWEEN ${{ first: "int8" }} AND ${{ last: "int8" }}
                   AND state IN ('pending', 'running', 'retrying')) AS waiting
      FROM penstock.erasures x WHERE id = ${{ id: "int4" }}`,
});

const END = statement({
  rows: { counts: column<ErasedCounts>("jsonb"), handlers: column<ErasureJob["handlers"]>("jsonb"), actor: "text" },
  text: sql`
    UPDATE penstock.erasures SET step = 'done', wanted = NULL, ended_at = now(), waits_for = NULL WHERE id = ${{ id: "int4" }}
    RETURNING counts, handlers, requested_by AS actor`,
});

/**
 * Tells endpoints, and handlers, that want to know whom to erase: by events of ours, which are erased, too, once nobody waits for
 * them any more.
 */
async function tell(store: Store, job: ErasureJob): Promise<Waiting> {
  return transaction(store, async (client) => {
    let told: readonly EventPointer[] = [];
    if (job.toldBatch === null && (await query(client, IS_WANTED, { type: SUBJECT_ERASED })).rowCount !== 0) {
      const batch = await insertBatch(client, job.wanted.map(toOwnEvent));
      await query(client, TOLD, { id: job.id, batch });
      return "endpoints that are told of it";
    }
    if (job.toldBatch !== null) {
      const first = job.toldBatch * BATCH_EVENTS;
      const span = { id: job.id, first, last: first + BATCH_EVENTS - 1 };
      const [row] = (await query(client, TOLD_EVENTS, span)).rows;
      if (row === undefined || row.waiting > 0) return "endpoints that are told of it";
      told = row.events;
    }
    if (!(await keepRetentionOut(client))) return RETENTION;
    await eraseEvents(client, told, { erasure: job.id, values: valuesOf(job) });
    await end(client, job.id);
    return null;
  });
}

async function end(client: pg.PoolClient, id: number): Promise<void> {
  const [ended] = (await query(client, END, { id })).rows;
  if (ended === undefined) return;
  const handlers = Object.fromEntries(Object.entries(ended.handlers).map(([name, { state }]) => [name, state]));
  await recordAudit(client, {
    actor: ended.actor,
    action: "erase.done",
    target: `erasure:${id}`,
    detail: { ...ended.counts, handlers },
  });
}

function toOwnEvent(wanted: ErasureJob["wanted"][number]) {
  const eventId = `evt_${randomUUID().replaceAll("-", "")}`;
  const createdAt = new Date();
  const data: SubjectErased = {
    kind: wanted.kind,
    path: wanted.kind === "where" ? wanted.path.join(".") : null,
    value: wanted.value,
  };
  return {
    source: OWN_SOURCE,
    eventId,
    key: null,
    type: SUBJECT_ERASED,
    createdAt,
    subjects: [],
    problem: null,
    traceparent: null,
    bodyVaries: false,
    body: Buffer.from(JSON.stringify({ id: eventId, type: SUBJECT_ERASED, createdAt: createdAt.toISOString(), data })),
    replay: null,
  };
}
