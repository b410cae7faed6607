import { ENDPOINT_PREFIX } from "@penstock/schemas";
import type pg from "pg";
import { query, type Store } from "./create-store.ts";
import type { DeliveryStateName } from "./delivery-filter.ts";
import { keepEnd } from "./keep-end.ts";
import type { DeliveryCursor } from "./list-deliveries.ts";
import { transaction } from "./transaction.ts";
import { type LaneKey, lockLanes, wakeLanes } from "./wake-lanes.ts";

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
  retry:
    "state = 'pending', attempts = 0, interruptions = 0, next_attempt_at = now(), late = false, skip_reason = NULL",
  skip: "state = 'skipped', next_attempt_at = NULL, skip_reason = NULL",
  cancel: "state = 'cancelled', next_attempt_at = NULL",
};

/** What is put on record of each. */
const DONE: Readonly<Record<DeliveryChange, string>> = { retry: "retried", skip: "skipped", cancel: "cancelled" };

/** Of an endpoint that was deleted nothing is taken up again: nobody would run it. */
const ONLY: Readonly<Record<DeliveryChange, string>> = {
  retry: `(NOT starts_with(d.subscriber, '${ENDPOINT_PREFIX}') OR EXISTS (SELECT FROM penstock.endpoints WHERE id = d.subscriber))`,
  skip: "true",
  cancel: "true",
};

const WANTED = "(SELECT * FROM unnest($1::date[], $2::bigint[], $3::text[]) AS w (day, seq, subscriber)) AS wanted";

/**
 * Changes deliveries that are in a state which allows it, and returns those that were changed. One that a worker claims at
 * the same time is waited for, and left alone when it runs then; so is one of a deleted endpoint that was to be retried.
 * Lanes that waited for one of them go on. Each is put on record, with `by`: what did it, for people.
 */
export async function changeDeliveries(
  store: Store,
  change: DeliveryChange,
  deliveries: readonly DeliveryCursor[],
  { by = `deliveries ${change}` }: { readonly by?: string } = {},
): Promise<DeliveryCursor[]> {
  if (deliveries.length === 0) return [];
  const wanted = [
    deliveries.map(({ day }) => day),
    deliveries.map(({ seq }) => seq),
    deliveries.map(({ subscriber }) => subscriber),
  ];
  return transaction(store, async (client) => {
    // Before the deliveries, in the order in which a claim takes them.
    const lanes = await lanesOf(client, wanted);
    await lockLanes(client, lanes);
    const { rows } = await query<{ day: string; seq: string; subscriber: string }>(
      client,
      `WITH before AS MATERIALIZED (
         SELECT d.* FROM ${WANTED} JOIN penstock.deliveries d
             ON d.day = wanted.day AND d.seq = wanted.seq AND d.subscriber = wanted.subscriber
          WHERE d.state = ANY($4::text[]) AND ${ONLY[change]} FOR UPDATE OF d
       ), kept AS (${keepEnd("before d")}
       ), noted AS (
         INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker, replay_id)
         SELECT day, seq, subscriber, attempts, now(), now(), $5, $6, replay_id FROM before
       )
       UPDATE penstock.deliveries d SET ${SET[change]}, changed_at = now() FROM before b
        WHERE d.day = b.day AND d.seq = b.seq AND d.subscriber = b.subscriber
       RETURNING d.day::text, d.seq::text, d.subscriber`,
      [...wanted, [...CHANGEABLE[change]], DONE[change], by],
    );
    await wakeLanes(client, lanes);
    return rows.map(({ seq, ...row }) => ({ ...row, seq: Number(seq) }));
  });
}

async function lanesOf(client: pg.PoolClient, wanted: readonly unknown[]): Promise<LaneKey[]> {
  const { rows } = await query<{ subscriber: string; lane: string }>(
    client,
    `SELECT DISTINCT d.subscriber, d.lane FROM ${WANTED}
       JOIN penstock.deliveries d ON d.day = wanted.day AND d.seq = wanted.seq AND d.subscriber = wanted.subscriber
      WHERE d.lane IS NOT NULL`,
    [...wanted],
  );
  return rows;
}
