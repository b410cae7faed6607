import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";
import { type ErasedValue, kindOf } from "./wanted.ts";

/**
 * How far the own `erase` of a handler is. `lacks`: it has none, so that its tables are as they were. `absent`: no worker has the
 * handler. `failed`: it was given up after ten tries.
 */
export interface ErasedByHandler {
  readonly state: "waiting" | "done" | "lacks" | "absent" | "failed";
  readonly attempts: number;
  /** The class of the last error: its message may quote what is erased. */
  readonly error: string | null;
}

/** What is done one after another: events, texts about other things, handlers' own tables, what endpoints are told. */
export type ErasureStep = "events" | "texts" | "handlers" | "told" | "done";

/** An erasure, without what was erased. */
export interface ErasureRow {
  readonly id: number;
  readonly requestedAt: string;
  readonly requestedBy: string;
  /** What it was told by, e.g. `subject` or `data.phone`. */
  readonly kinds: readonly string[];
  readonly step: ErasureStep;
  /** Why it does not go on; null while it does. */
  readonly waitsFor: string | null;
  /** What was overwritten, by kind. */
  readonly counts: Readonly<Record<string, number>>;
  readonly handlers: Readonly<Record<string, ErasedByHandler>>;
  readonly endedAt: string | null;
}

const LAST_BATCH = statement({
  rows: { batch: "int8" },
  text: sql`SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS batch FROM penstock.batch_number`,
});

// A handler that no worker has had for a while is not waited for.
const CREATE = statement({
  rows: { id: "int4" },
  text: sql`
    INSERT INTO penstock.erasures (requested_by, kinds, wanted, last_batch, handlers)
    VALUES (${{ actor: "text", kinds: "text[]", wanted: "jsonb", lastBatch: "int8" }},
            (SELECT coalesce(jsonb_object_agg(name, jsonb_build_object(
                      'state', CASE WHEN seen_at < now() - interval '15 minutes' THEN 'absent' ELSE 'waiting' END,
                      'attempts', 0, 'error', NULL)), '{}')
               FROM penstock.handlers WHERE kind <> 'endpoint'))
    RETURNING id`,
});

/**
 * Writes down that what has been received by now about these values is to be erased, and resolves to the number of the erasure.
 * Workers do it.
 */
export async function createErasure(store: Store, wanted: readonly ErasedValue[], actor: string): Promise<number> {
  const kinds = wanted.map(kindOf);
  return transaction(store, async (client) => {
    // In this order: the transaction has no xid yet when the number is read, see tail-events.ts.
    const lastBatch = Number((await query(client, LAST_BATCH)).rows[0]?.batch ?? 0);
    const { rows } = await query(client, CREATE, { actor, kinds, wanted: JSON.stringify(wanted), lastBatch });
    const id = rows[0]?.id ?? 0;
    await recordAudit(client, { actor, action: "erase.create", target: `erasure:${id}`, detail: { by: kinds } });
    return id;
  });
}

const LIST = statement({
  rows: {
    id: "int4",
    requested_at: "timestamptz",
    requested_by: "text",
    kinds: "text[]",
    step: column<ErasureStep>("text"),
    waits_for: "text?",
    counts: column<ErasureRow["counts"]>("jsonb"),
    handlers: column<ErasureRow["handlers"]>("jsonb"),
    ended_at: "timestamptz?",
  },
  text: sql`
    SELECT id, requested_at, requested_by, kinds, step, waits_for, counts, handlers, ended_at FROM penstock.erasures
     WHERE (${{ id: "int4?" }} IS NULL OR id = ${{ id: "int4?" }}) ORDER BY id DESC LIMIT ${{ limit: "int4" }}`,
});

function toErasure(row: RowOf<typeof LIST>): ErasureRow {
  return {
    id: row.id,
    requestedAt: row.requested_at.toISOString(),
    requestedBy: row.requested_by,
    kinds: row.kinds,
    step: row.step,
    waitsFor: row.waits_for,
    counts: row.counts,
    handlers: row.handlers,
    endedAt: row.ended_at?.toISOString() ?? null,
  };
}

/** Erasures, the newest first. */
export async function listErasures(store: Store, limit = 50): Promise<ErasureRow[]> {
  return (await query(store.pool, LIST, { id: null, limit })).rows.map(toErasure);
}

/** An erasure; null when there is none with this number. */
export async function showErasure(store: Store, id: number): Promise<ErasureRow | null> {
  const [row] = (await query(store.pool, LIST, { id, limit: 1 })).rows;
  return row === undefined ? null : toErasure(row);
}

/** An erasure that a worker has taken. */
export interface ErasureJob {
  readonly id: number;
  readonly wanted: readonly ErasedValue[];
  readonly lastBatch: number;
  readonly step: ErasureStep;
  readonly look: number;
  readonly below: { readonly day: string; readonly seq: number } | null;
  readonly found: number;
  readonly toldBatch: number | null;
  readonly handlers: ErasureRow["handlers"];
}

/** A worker that vanishes leaves its erasure to others after this time. All steps may be done twice. */
const LEASE_S = 120;

const TAKE = statement({
  rows: {
    id: "int4",
    wanted: column<readonly ErasedValue[]>("jsonb"),
    last_batch: "int8",
    step: column<ErasureStep>("text"),
    look: "int4",
    look_day: "text?",
    look_seq: "int8?",
    found: "int4",
    told_batch: "int8?",
    handlers: column<ErasureRow["handlers"]>("jsonb"),
  },
  text: sql`
    UPDATE penstock.erasures SET leased_until = now() + interval '${LEASE_S} s'
     WHERE id = (SELECT id FROM penstock.erasures
                  WHERE step <> 'done' AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
                  ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, wanted, last_batch, step, look, look_day::text, look_seq, found, told_batch, handlers`,
});

/** Takes the erasure that has waited longest; null when none is due. */
export async function takeErasure(store: Store): Promise<ErasureJob | null> {
  const [row] = (await query(store.pool, TAKE)).rows;
  if (row === undefined) return null;
  return {
    id: row.id,
    wanted: row.wanted,
    lastBatch: Number(row.last_batch),
    step: row.step,
    look: row.look,
    below: row.look_day === null ? null : { day: row.look_day, seq: Number(row.look_seq) },
    found: row.found,
    toldBatch: row.told_batch === null ? null : Number(row.told_batch),
    handlers: row.handlers,
  };
}

const RENEW = statement({
  text: sql`
    UPDATE penstock.erasures SET leased_until = now() + interval '${LEASE_S} s' WHERE id = ${{ id: "int4" }}`,
});

export async function renewErasure(store: Store, id: number): Promise<void> {
  await query(store.pool, RENEW, { id });
}

const PUT_BACK = statement({
  text: sql`
    UPDATE penstock.erasures
       SET leased_until = NULL, waits_for = ${{ waitsFor: "text?" }},
           due_at = now() + make_interval(secs => ${{ restMs: "float8" }} / 1000)
     WHERE id = ${{ id: "int4" }}`,
});

/** Hands an erasure back: the next worker goes on with it after `restMs`. */
export async function putErasureBack(
  store: Store,
  id: number,
  { waitsFor, restMs }: { readonly waitsFor: string | null; readonly restMs: number },
): Promise<void> {
  await query(store.pool, PUT_BACK, { id, waitsFor, restMs });
}

const NOTE = statement({
  text: sql`
    UPDATE penstock.erasures SET handlers = handlers || jsonb_build_object(${{ handler: "text", state: "jsonb" }})
     WHERE id = ${{ id: "int4" }}`,
});

/** Notes how far a handler is. */
export async function noteHandlerErased(
  store: Store,
  id: number,
  handler: string,
  state: ErasedByHandler,
): Promise<void> {
  await query(store.pool, NOTE, { id, handler, state: JSON.stringify(state) });
}
