import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** What waits to be done, as of now. */
export interface Backlog {
  /** Events accepted and not yet processed, copies of others included; of {@link BATCH_LIMIT} batches at most. */
  readonly pendingEvents: number;
  /** Age of the oldest of them in seconds; 0 when there is none. */
  readonly oldestPendingSeconds: number;
  /**
   * How many deliveries have not succeeded, by subscriber (all endpoints are one: `endpoints`) and state, of each state up to {@link DELIVERIES_LIMIT}; those
   * of which there are none are left out.
   */
  readonly deliveries: readonly { readonly subscriber: string; readonly state: string; readonly count: number }[];
}

/** Counting more would cost more than the number is worth. */
const BATCH_LIMIT = 100_000;
/** The same for deliveries, of each state. */
const DELIVERIES_LIMIT = 100_000;

// State by state, by the index of what has not succeeded.
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

/** Reads what waits to be done, for metrics. */
export async function readBacklog(store: Store): Promise<Backlog> {
  const [row] = (await query(store.pool, READ)).rows;
  return {
    pendingEvents: row?.pending ?? 0,
    oldestPendingSeconds: row?.oldest ?? 0,
    deliveries: row?.deliveries ?? [],
  };
}
