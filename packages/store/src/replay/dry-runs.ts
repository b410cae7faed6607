import type { DryRunReport } from "@penstock/engine";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import type { EventPointer } from "../events/find-events.ts";
import { recordAudit } from "../operators/audit-log.ts";

/** Nobody waits longer for a dry run: what no worker has taken by then is not run. */
const WAIT = "interval '1 minute'";

/**
 * `waiting`: for a worker that has the handler. `nobody`: no worker took it within a minute. `running`; `lost`: it did not end
 * within a minute, so its worker has probably gone. `done`.
 */
export type DryRunState = "waiting" | "nobody" | "running" | "lost" | "done";

export interface DryRunRow {
  readonly state: DryRunState;
  readonly day: string;
  readonly seq: number;
  readonly handler: string;
  readonly worker: string | null;
  /** Null until it is done. */
  readonly report: DryRunReport | null;
}

const FORGET = statement({
  text: sql`DELETE FROM penstock.dry_runs WHERE requested_at < now() - interval '1 day'`,
});

const REQUEST = statement({
  rows: { id: "uuid" },
  text: sql`
    INSERT INTO penstock.dry_runs (day, seq, handler)
    VALUES (${{ day: "date", seq: "int8", handler: "text" }}) RETURNING id`,
});

/** Asks for a dry run, and resolves to its id. A worker that has the handler does it. */
export async function requestDryRun(
  store: Store,
  { day, seq, handler }: EventPointer & { readonly handler: string },
  actor: string,
): Promise<string> {
  return transaction(store, async (client) => {
    await query(client, FORGET);
    const { rows } = await query(client, REQUEST, { day, seq, handler });
    await recordAudit(client, { actor, action: "dry-run.create", target: handler, detail: { event: `seq:${seq}` } });
    return rows[0]?.id ?? "";
  });
}

const TAKE = statement({
  rows: { id: "uuid", day: "text", seq: "int8", handler: "text" },
  text: sql`
    UPDATE penstock.dry_runs SET taken_at = now(), worker = ${{ worker: "text" }}
     WHERE id = (SELECT id FROM penstock.dry_runs
                  WHERE taken_at IS NULL AND handler = ANY(${{ handlers: "text[]" }}) AND requested_at > now() - ${WAIT}
                  ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, day::text, seq, handler`,
});

/** Takes the oldest dry run that waits for one of these handlers; null when there is none. */
export async function takeDryRun(
  store: Store,
  handlers: readonly string[],
  worker: string,
): Promise<(EventPointer & { readonly id: string; readonly handler: string }) | null> {
  const [row] = (await query(store.pool, TAKE, { handlers, worker })).rows;
  return row === undefined ? null : { ...row, seq: Number(row.seq) };
}

const END = statement({
  text: sql`
    UPDATE penstock.dry_runs SET report = ${{ report: "json" }}, ended_at = now() WHERE id = ${{ id: "uuid" }}`,
});

export async function endDryRun(store: Store, id: string, report: DryRunReport): Promise<void> {
  await query(store.pool, END, { id, report: JSON.stringify(report) });
}

const SHOW = statement({
  rows: {
    state: column<DryRunState>("text"),
    day: "text",
    seq: "int8",
    handler: "text",
    worker: "text?",
    report: column<DryRunReport | null>("json"),
  },
  text: sql`
    SELECT CASE WHEN ended_at IS NOT NULL THEN 'done'
                WHEN taken_at IS NULL AND requested_at > now() - ${WAIT} THEN 'waiting'
                WHEN taken_at IS NULL THEN 'nobody'
                WHEN taken_at > now() - ${WAIT} THEN 'running' ELSE 'lost' END AS state,
           day::text, seq, handler, worker, report
      FROM penstock.dry_runs WHERE id = ${{ id: "uuid" }}`,
});

/** A dry run, and what came of it; null when there is none, or it is older than a day. */
export async function showDryRun(store: Store, id: string): Promise<DryRunRow | null> {
  const [row] = (await query(store.pool, SHOW, { id })).rows;
  return row === undefined ? null : { ...row, seq: Number(row.seq) };
}
