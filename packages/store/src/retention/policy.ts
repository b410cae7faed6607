import type { ArchiveConfig } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** How long events are kept. A day is always kept whole until it is over. */
export interface RetentionPolicy {
  /** Of what no source says otherwise, in days after the day of receipt. */
  readonly days: number;
  /** What Penstock's own tables may take; null: no limit. The oldest days go first, whatever their term, and never today. */
  readonly bytes: number | null;
  /** How long the ledger tells a copy from a new event. What proves something is kept as long: the audit log, what has gone. */
  readonly dedupeWindowDays: number;
  /** Where a day is archived before it goes; not there: nowhere, and days go without. */
  readonly archive?: ArchiveConfig | undefined;
  /** Terms of sources, and by types (`message.received`, `message.*`) of theirs; sources without one are left out. */
  readonly sources: Readonly<
    Record<string, { readonly days: number | null; readonly types: Readonly<Record<string, number>> }>
  >;
}

/** In days: the closest pattern of the source decides, then the source, then the policy. */
export function termOf(policy: RetentionPolicy, source: string, type: string): number {
  const own = Object.hasOwn(policy.sources, source) ? policy.sources[source] : undefined;
  if (own === undefined) return policy.days;
  const fitting = Object.entries(own.types)
    .filter(([pattern]) => (pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern))
    .toSorted(([a], [b]) => Number(a.endsWith("*")) - Number(b.endsWith("*")) || b.length - a.length);
  return fitting[0]?.[1] ?? own.days ?? policy.days;
}

/** The shortest and the longest term that an event can have. */
export function termsOf(policy: RetentionPolicy): { shortest: number; longest: number } {
  const terms = [
    policy.days,
    ...Object.values(policy.sources).flatMap(({ days, types }) => [days ?? policy.days, ...Object.values(types)]),
  ];
  return { shortest: Math.min(...terms), longest: Math.max(...terms) };
}

const TELL = statement({
  text: sql`
    INSERT INTO penstock.retention_policy (policy, told_by) VALUES (${{ policy: "jsonb", by: "text" }})
        ON CONFLICT ((true)) DO UPDATE SET policy = excluded.policy, told_by = excluded.told_by,
                                    told_at = CASE WHEN retention_policy.policy = excluded.policy
                                                   THEN retention_policy.told_at ELSE now() END`,
});

/**
 * Puts on record how long workers keep what, which holds for all of them, and for the CLI and the console: what one process has in
 * its environment must not delete what the others keep.
 */
export async function tellPolicy(store: Store, policy: RetentionPolicy, by: string): Promise<void> {
  await query(store.pool, TELL, { policy: JSON.stringify(policy), by });
}

const READ = statement({
  rows: { policy: column<RetentionPolicy>("jsonb"), toldAt: "timestamptz", toldBy: "text", isNew: "bool" },
  text: sql`
    SELECT policy, told_at AS "toldAt", told_by AS "toldBy", told_at > now() - interval '1 hour' AS "isNew"
      FROM penstock.retention_policy`,
});

export interface ToldPolicy {
  readonly policy: RetentionPolicy;
  /** Since when it is as it is. */
  readonly toldAt: Date;
  readonly toldBy: string;
  /** It has changed within the hour: workers wait with it, so that a slip of the pen can be seen before it deletes anything. */
  readonly isNew: boolean;
}

/** The policy in force, and which worker told it last; null until a worker has started. */
export async function readPolicy(store: Store): Promise<ToldPolicy | null> {
  return (await query(store.pool, READ)).rows[0] ?? null;
}
