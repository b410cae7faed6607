import { query, type Store } from "./create-store.ts";

/** What waits to be done, as of now. */
export interface Backlog {
  /** Events accepted and not yet processed; counted up to {@link COUNT_LIMIT}. */
  readonly pendingEvents: number;
  /** Age of the oldest of them in seconds; 0 when there is none. */
  readonly oldestPendingSeconds: number;
  /** How many deliveries have not succeeded, by subscriber and state; those of which there are none are left out. */
  readonly deliveries: readonly { readonly subscriber: string; readonly state: string; readonly count: number }[];
}

/** Counting more would cost more than the number is worth. */
const COUNT_LIMIT = 1_000_000;

// One SELECT for each partial index of deliveries.
const READ = {
  name: "penstock-read-backlog",
  text: `
    SELECT (SELECT count(*)::int FROM (SELECT FROM penstock.pending LIMIT $1) AS counted) AS pending,
           (SELECT greatest(0, extract(epoch FROM now() - accepted_at))::float8
              FROM penstock.pending ORDER BY seq LIMIT 1) AS oldest,
           (SELECT coalesce(jsonb_agg(d), '[]') FROM (
              SELECT subscriber, state, count(*)::int AS count FROM penstock.deliveries
               WHERE state IN ('pending', 'retrying') GROUP BY subscriber, state
               UNION ALL
              SELECT subscriber, state, count(*)::int FROM penstock.deliveries
               WHERE state = 'running' GROUP BY subscriber, state
               UNION ALL
              SELECT subscriber, state, count(*)::int FROM penstock.deliveries
               WHERE state = 'dead' GROUP BY subscriber, state) AS d) AS deliveries`,
};

/** Reads what waits to be done, for metrics. */
export async function readBacklog(store: Store): Promise<Backlog> {
  const { rows } = await query<{ pending: number; oldest: number | null; deliveries: Backlog["deliveries"] }>(
    store.pool,
    READ,
    [COUNT_LIMIT],
  );
  const [row] = rows;
  return {
    pendingEvents: row?.pending ?? 0,
    oldestPendingSeconds: row?.oldest ?? 0,
    deliveries: row?.deliveries ?? [],
  };
}
