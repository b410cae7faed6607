import { query, type Store } from "./create-store.ts";

/** A delivery that is due. */
export interface DueDelivery {
  readonly day: string;
  readonly seq: number;
  /** Tries begun so far. */
  readonly attempts: number;
  readonly generation: number;
  /** Whether its worker vanished before. */
  readonly interrupted: boolean;
  /** When its lane was woken; null without a lane. */
  readonly woken: string | null;
}

// Takes no locks and may be out of date at once: whoever runs one claims it. Of a handler that is paused it finds none,
// without a look at what waits for it. What is in a lane has an index of its own; each time it is woken it is due anew.
const dueWhere = (condition: string, woken: string): string => `
  (SELECT day, seq, attempts, generation, interruptions > 0 AS interrupted, next_attempt_at, ${woken} AS woken
     FROM penstock.deliveries
    WHERE subscriber = $1 AND state IN ('pending', 'retrying') AND next_attempt_at <= now() AND ${condition}
      AND (SELECT paused_at FROM penstock.handlers WHERE name = $1) IS NULL
    ORDER BY next_attempt_at LIMIT $2)`;

const FIND = {
  name: "penstock-find-due-deliveries",
  text: `
    SELECT day::text, seq::text, attempts, generation, interrupted, woken FROM (
      ${dueWhere("lane IS NULL", "NULL")}
      UNION ALL
      ${dueWhere("lane IS NOT NULL", "(extract(epoch FROM next_attempt_at) * 1000000)::bigint::text")}) AS due
     ORDER BY next_attempt_at LIMIT $2`,
};

/** The deliveries to a handler that are due, those that have been so for longest first. */
export async function findDueDeliveries(store: Store, subscriber: string, limit: number): Promise<DueDelivery[]> {
  const { rows } = await query<Omit<DueDelivery, "seq"> & { seq: string }>(store.pool, FIND, [subscriber, limit]);
  return rows.map(({ seq, ...row }) => ({ ...row, seq: Number(seq) }));
}
