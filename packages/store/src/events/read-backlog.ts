import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** The backlog. */
export interface Backlog {
  /** Events that are accepted and not processed yet, duplicates included; of {@link BATCH_LIMIT} batches at most. */
  readonly pendingEvents: number;
  /** Age of the oldest pending event in seconds; 0 without one. */
  readonly oldestPendingSeconds: number;
  /**
   * How many deliveries have not succeeded, by subscriber (all endpoints count as `endpoints`) and state, up to
   * {@link DELIVERIES_LIMIT} each. Counts of 0 are left out.
   */
  readonly deliveries: readonly { readonly subscriber: string; readonly state: string; readonly count: number }[];
}

/** A larger number is not worth its cost. */
const BATCH_LIMIT = 100_000;
/** The limit of each count of deliveries. */
const DELIVERIES_LIMIT = 100_000;

// State by state, by the index of deliveries that have not succeeded.
const READ = statement({
  name: "penstock-read-backlog",
  rows: { pending: "int4", oldest: "float8?", deliveries: column<Backlog["deliveries"]>("jsonb") },
  text: sql`
    SELECT (SELECT coalesce(sum(events), 0)::int FROM (SELECT events FROM penstock.pending LIMIT ${BATCH_LIMIT}) AS counted) AS pending,
           (SELECT greatest(0, extract(epoch FROM now() - accepted_at))::float8
              FROM penstock.pending ORDER BY batch LIMIT 1) AS oldest,
           (SELECT coalesce(jsonb_agg(d), '[]') FROM (
              SELECT CASE WHEN starts_with(subscriber, '${ENDPOINT_PREFIX}') THEN 'endpoints' ELSE subscriber END AS subscriber,
                     state, count(*)::int AS count
                FROM unnest(ARRAY['pending', 'running', 'retrying', 'dead']) AS states (wanted),
                     LATERAL (SELECT subscriber, state FROM penstock.deliveries
                               WHERE state = wanted AND state <> 'succeeded' LIMIT ${DELIVERIES_LIMIT}) AS some_of
               GROUP BY 1, 2) AS d) AS deliveries`,
});

/** Reads the backlog, for metrics. */
export async function readBacklog(store: Store): Promise<Backlog> {
  const [row] = (await query(store.pool, READ)).rows;
  return {
    pendingEvents: row?.pending ?? 0,
    oldestPendingSeconds: row?.oldest ?? 0,
    deliveries: row?.deliveries ?? [],
  };
}
