import { connect, query, type Queryable, type Store } from "../connection/create-store.ts";
import { recordAudit } from "../operators/audit-log.ts";
import { sql, statement } from "../connection/sql.ts";
import { forgetRest, type RestCount } from "./forget-rest.ts";
import { type GoneDay, letDayGo, prepareForDetach, restoreDay } from "./let-day-go.ts";
import { isHalfGone, listDays, readToday } from "./list-days.ts";
import { type PlannedDay, planWith, type RetentionPlan } from "./plan-retention.ts";
import type { RetentionPolicy } from "./policy.ts";

export interface RetentionRun {
  readonly plan: RetentionPlan;
  readonly days: readonly GoneDay[];
  /** What became of days that failed: they are tried again at the next run. */
  readonly failed: readonly { readonly day: string; readonly error: Error }[];
  readonly rest: readonly RestCount[];
  readonly freed: number;
}

// Of the session, since a table cannot be detached in a transaction; it goes with the connection, whatever becomes of this process.
export const RETENTION_LOCK = statement({
  rows: { mine: "bool" },
  text: sql`SELECT pg_try_advisory_lock(hashtext('penstock.retention')) AS mine`,
});

const KEEP_OUT = statement({
  rows: { out: "bool" },
  text: sql`SELECT pg_try_advisory_xact_lock_shared(hashtext('penstock.retention')) AS out`,
});

/** Keeps retention from moving a day until the transaction ends: what is moved cannot be seen. False: it runs. */
export async function keepRetentionOut(client: Queryable): Promise<boolean> {
  return (await query(client, KEEP_OUT)).rows[0]?.out === true;
}

export interface RunOptions {
  /** Who runs it: a worker, or an operator whose run goes into the audit log. */
  readonly by: { readonly worker: string } | { readonly actor: string };
  readonly signal?: AbortSignal;
  /** The day that it is (UTC); by the clock of Postgres unless given. */
  readonly today?: string;
}

/**
 * Deletes what is due: finishes what a crash left half gone, lets go of days, then of the rest. One process at a time; null where
 * another one is at it. A stop is heard between two days.
 */
export async function runRetention(
  store: Store,
  policy: RetentionPolicy,
  { by, signal = new AbortController().signal, today: given }: RunOptions,
): Promise<RetentionRun | null> {
  const client = await connect(store);
  try {
    if ((await query(client, RETENTION_LOCK)).rows[0]?.mine !== true) return null;
    await prepareForDetach(client);
    const today = given ?? (await readToday(client));
    const plan = await planWith(client, policy, today);
    const due = plan.days.filter(({ action }) => action !== "keep");
    // Before the first day goes: a run that is broken off was begun all the same, and `retention_log` has what went.
    if ("actor" in by) {
      const days = due.map(({ day, action, goes }) => ({ day, action, events: goes }));
      const detail = { days, bytes: plan.frees };
      await recordAudit(client, { actor: by.actor, action: "retention.run", target: "retention", detail });
    }
    const stored = new Map((await listDays(client, today)).map((day) => [day.day, day]));
    const name = "actor" in by ? by.actor : by.worker;
    const [days, failed]: [GoneDay[], { day: string; error: Error }[]] = [[], []];
    for (const { day, why } of due) {
      const tables = stored.get(day);
      if (tables === undefined || signal.aborted) continue;
      try {
        days.push(why === null ? await restoreDay(client, tables) : await letDayGo(client, policy, tables, why, name));
      } catch (error) {
        failed.push({ day, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }
    const rest = await forgetRest(client, policy, today, signal);
    return { plan, days, failed, rest, freed: days.reduce((total, { freed }) => total + freed, 0) };
  } finally {
    client.release(true); // its settings have changed, and it holds the lock
  }
}

/** The days that are due and may not go yet. */
export function heldDays({ days }: RetentionPlan): Pick<PlannedDay, "day" | "holds">[] {
  return days.filter(({ holds }) => holds.length > 0).map(({ day, holds }) => ({ day, holds }));
}

/** Whether a crash has left a day half gone, which is to be finished at once. */
export async function isRetentionHalfDone(store: Store): Promise<boolean> {
  return (await listDays(store.pool, await readToday(store.pool))).some(isHalfGone);
}
