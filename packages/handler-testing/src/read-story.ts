import { listDeliveries, showDeliveries, type Store } from "@penstock/store";
import type { VirtualTime } from "./virtual-time.ts";

/** A try of a delivery that is on record: all but a success at the first try. */
export interface TryStory {
  readonly attempt: number;
  /** `succeeded`, `failed`, `timed-out` or `interrupted`. */
  readonly outcome: string;
  /** Class and message; null when it succeeded. */
  readonly error: string | null;
}

/** What became of one event at one handler. */
export interface DeliveryStory {
  /** The event's id. */
  readonly event: string;
  readonly type: string;
  readonly handler: string;
  readonly state: string;
  /** Tries so far. */
  readonly attempts: number;
  /** How long until it is tried again, in milliseconds of the test's time; null when it is not waiting for that. */
  readonly retryInMs: number | null;
  /** Of the last try that failed; null when none has. */
  readonly error: string | null;
  readonly tries: readonly TryStory[];
  /** Null without. */
  readonly lane: string | null;
  /** Why it was skipped; null when it was not. */
  readonly skipReason: string | null;
}

/** What `ctx.once` has done for an event. */
export interface EffectStory {
  /** The event's id. */
  readonly event: string;
  readonly handler: string;
  readonly key: string;
  /** What was recorded, as JSON makes it. */
  readonly result: unknown;
  /** How often what the event does was begun anew by a replay "again". */
  readonly generation: number;
}

/** All deliveries, by arrival of their events, then by handler. */
export async function readDeliveries(store: Store, time: VirtualTime): Promise<DeliveryStory[]> {
  const rows = (await listDeliveries(store, {}, { limit: 10_000 })).toSorted(
    (a, b) => a.seq - b.seq || (a.subscriber < b.subscriber ? -1 : 1),
  );
  const details = await Promise.all(
    [...new Set(rows.filter(hasTries).map(({ seq }) => seq))].map((seq) =>
      showDeliveries(store, { event: String(seq) }),
    ),
  );
  return rows.map((row) => ({
    event: row.eventId ?? `seq ${row.seq}`,
    type: row.type ?? "",
    handler: row.subscriber,
    state: row.state,
    attempts: row.attempts,
    retryInMs: row.state === "retrying" || row.state === "pending" ? time.dueInMs(row) : null,
    error: row.error,
    tries: (
      details.flat().find(({ seq, subscriber }) => seq === row.seq && subscriber === row.subscriber)?.attemptLog ?? []
    ).map(({ attempt, outcome, errorClass, errorMessage }) => ({
      attempt,
      outcome,
      error: outcome === "succeeded" ? null : [errorClass, errorMessage].filter((part) => part !== null).join(": "),
    })),
    lane: row.lane,
    skipReason: row.skipReason,
  }));
}

function hasTries({ error, attempts }: { error: string | null; attempts: number }): boolean {
  return error !== null || attempts > 1;
}

/** All that was done once, in the order in which it was. */
export async function readEffects(store: Store): Promise<EffectStory[]> {
  const { rows } = await store.pool.query<EffectStory>(
    `SELECT e.event_id AS event, f.subscriber AS handler, f.key, f.result, f.generation
       FROM penstock.effects f JOIN penstock.events e USING (seq) ORDER BY f.recorded_at, f.seq, f.key`,
  );
  return rows;
}

/** What could not be understood, by arrival. */
export async function readQuarantine(
  store: Store,
): Promise<{ readonly event: string; readonly reason: string; readonly detail: string | null }[]> {
  const { rows } = await store.pool.query<{ event: string; reason: string; detail: string | null }>(
    `SELECT coalesce(e.event_id, 'seq ' || q.seq) AS event, q.reason, q.detail
       FROM penstock.quarantine q JOIN penstock.events e USING (day, seq) ORDER BY q.seq`,
  );
  return rows;
}

/** The rows of a table, by its primary key, else as text. */
export async function readRows(store: Store, schema: string, table: string): Promise<Record<string, unknown>[]> {
  const { rows: keys } = await store.pool.query<{ column: string }>(
    `SELECT quote_ident(a.attname) AS column FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, nth)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = to_regclass($1) AND i.indisprimary ORDER BY nth`,
    [`${quote(schema)}.${quote(table)}`],
  );
  const order = keys.length > 0 ? keys.map(({ column }) => `t.${column}`).join(", ") : "t::text";
  const sql = `SELECT t.* FROM ${quote(schema)}.${quote(table)} t ORDER BY ${order}`;
  return (await store.pool.query<Record<string, unknown>>(sql)).rows;
}

/** The tables and views of a schema, without those of its migrations. */
export async function listTables(store: Store, schema: string): Promise<string[]> {
  const { rows } = await store.pool.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'v', 'm')
        AND NOT relispartition AND relname NOT LIKE 'kysely\\_%' ORDER BY 1`,
    [quote(schema)],
  );
  return rows.map(({ name }) => name);
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
