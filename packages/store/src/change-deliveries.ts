import { query, type Store } from "./create-store.ts";
import type { DeliveryStateName } from "./delivery-filter.ts";
import type { DeliveryCursor } from "./list-deliveries.ts";

/** What an operator can do with deliveries. */
export type DeliveryChange = "retry" | "skip" | "cancel";

/** The states that each change starts from. What runs is left alone: only the worker that runs it may write its result. */
export const CHANGEABLE: Readonly<Record<DeliveryChange, readonly DeliveryStateName[]>> = {
  retry: ["retrying", "dead", "skipped", "cancelled"],
  skip: ["pending", "retrying", "dead"],
  cancel: ["pending", "retrying"],
};

const SET: Readonly<Record<DeliveryChange, string>> = {
  // With all its tries, as a new one; the attempts that are on record stay there.
  retry: "state = 'pending', attempts = 0, interruptions = 0, next_attempt_at = now()",
  skip: "state = 'skipped', next_attempt_at = NULL",
  cancel: "state = 'cancelled', next_attempt_at = NULL",
};

/**
 * Changes deliveries that are in a state which allows it, and returns those that were changed. One that a worker claims at
 * the same time is waited for, and left alone when it runs then.
 */
export async function changeDeliveries(
  store: Store,
  change: DeliveryChange,
  deliveries: readonly DeliveryCursor[],
): Promise<DeliveryCursor[]> {
  if (deliveries.length === 0) return [];
  const { rows } = await query<{ day: string; seq: string; subscriber: string }>(
    store.pool,
    `UPDATE penstock.deliveries d SET ${SET[change]}, changed_at = now()
       FROM (SELECT * FROM unnest($1::date[], $2::bigint[], $3::text[]) AS w (day, seq, subscriber)) AS wanted
      WHERE d.day = wanted.day AND d.seq = wanted.seq AND d.subscriber = wanted.subscriber
        AND d.state = ANY($4::text[])
     RETURNING d.day::text, d.seq::text, d.subscriber`,
    [
      deliveries.map(({ day }) => day),
      deliveries.map(({ seq }) => seq),
      deliveries.map(({ subscriber }) => subscriber),
      [...CHANGEABLE[change]],
    ],
  );
  return rows.map(({ seq, ...row }) => ({ ...row, seq: Number(seq) }));
}
