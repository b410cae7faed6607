import { randomUUID } from "node:crypto";
import type { ClaimedDelivery, EngineStore } from "@penstock/engine";
import { query, type Queryable } from "../connection/create-store.ts";
import { IS_STARTABLE } from "../endpoints/endpoint-health.ts";
import { replayAs } from "../replay/replay-columns.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { UNTIL_NOW } from "./wake-lanes.ts";

/** More than any claim takes. */
const MOST = 1_000;

/**
 * The query that describes claimed deliveries, which are the part `from` of a WITH.
 *
 * Looks each row up by key, with LIMIT 1 or an aggregate: a join would read whole tables.
 */
export const describeClaimed = (from: string): string => `
  SELECT d.seq, d.day::text, d.subscriber, d.lane, d.token::text, d.attempts, d.generation, e.traceparent,
         CASE WHEN coalesce(d.replay_id, e.replay_id) IS NOT NULL
              THEN ${replayAs("coalesce(d.replay_id, e.replay_id)")} END AS replay,
         before.on_record, before.last_attempt
    FROM ${from} d
         LEFT JOIN LATERAL (SELECT traceparent, replay_id FROM penstock.events
                             WHERE day = d.day AND seq = d.seq LIMIT 1) AS e ON true,
         LATERAL (SELECT count(*) > 0 AS on_record,
                         (array_agg(traceparent ORDER BY started_at DESC) FILTER (WHERE traceparent IS NOT NULL))[1]
                           AS last_attempt
                    FROM penstock.attempts WHERE day = d.day AND seq = d.seq AND subscriber = d.subscriber) AS before`;

/** The columns of {@link describeClaimed}. */
export const CLAIMED_ROW = {
  seq: "int8",
  day: "text",
  subscriber: "text",
  lane: "text?",
  token: "text",
  attempts: "int2",
  generation: "int2",
  traceparent: "text?",
  replay: column<ClaimedDelivery["replay"]>("jsonb"),
  on_record: "bool",
  last_attempt: "text?",
} as const;

type Claim = Parameters<EngineStore["claimDeliveries"]>[0];

const subscriber = sql`${{ subscriber: "text" }}`;

const OF_ATTEMPT = `, d.next_attempt_at, d.attempts, d.generation,
             coalesce(d.replay_id, (SELECT replay_id FROM penstock.events e
                                     WHERE e.day = d.day AND e.seq = d.seq LIMIT 1)) AS replay_id`;

// One transaction cannot run deliveries that are not alike, so these would only wait under their leases: they are locked for the
// length of the statement, and not claimed.
const ALIKE = `
  alike AS MATERIALIZED (
    SELECT due.day, due.seq
      FROM due, (SELECT attempts, generation, replay_id FROM due ORDER BY next_attempt_at LIMIT 1) AS oldest
     WHERE due.attempts = oldest.attempts AND due.generation = oldest.generation
       AND due.replay_id IS NOT DISTINCT FROM oldest.replay_id
  ),`;

// One subscriber by `=`: the index (subscriber, next_attempt_at) then hands out the oldest without a sort, 0.1 ms with
// 14,000 waiting. With `subscriber = ANY(…)` Postgres sorts all that waits, 20 ms at each claim.
// Whether the subscriber may be started is asked once, not row by row: a million deliveries may wait for one subscriber.
// Materialised: a plan that scans the inner query twice would skip rows that the first scan has locked, lock further rows, and
// exceed the limit.
// One generic plan: planning for all partitions takes ten times as long as the claim. Postgres takes a LIMIT that is a
// parameter for a tenth of all that waits; then a plan per value looks cheaper, and the generic plan would read whole
// tables. Hence the LIMIT of ${MOST} inside, and the arrays.
// Deliveries in lanes have a claim of their own (claim-lanes.ts).
function claimOf(name: string, condition: string, isAlike = false) {
  const chosen = isAlike ? "alike" : "due";
  return statement({
    name,
    rows: CLAIMED_ROW,
    text: sql`
      WITH due AS MATERIALIZED (
        SELECT * FROM (
          SELECT d.day, d.seq${isAlike ? OF_ATTEMPT : ""}
            FROM penstock.deliveries d
           WHERE subscriber = ${subscriber} AND state IN ('pending', 'retrying') AND next_attempt_at <= now()
             AND lane IS NULL AND ${UNTIL_NOW} AND ${condition} AND (SELECT ${IS_STARTABLE})
           ORDER BY next_attempt_at LIMIT ${MOST} FOR UPDATE OF d SKIP LOCKED) AS some_of
         LIMIT ${{ limit: "int8" }}
      ), ${isAlike ? ALIKE : ""} taken AS (
        UPDATE penstock.deliveries d
           SET state = 'running', token = ${{ token: "uuid" }}, attempts = d.attempts + 1, next_attempt_at = NULL,
               lease_until = now() + make_interval(secs => ${{ leaseMs: "float8" }} / 1000), changed_at = now()
          FROM unnest(ARRAY(SELECT day FROM ${chosen}), ARRAY(SELECT seq FROM ${chosen})) AS due (day, seq)
         WHERE d.day = due.day AND d.seq = due.seq AND d.subscriber = ${subscriber}
        RETURNING d.*
      )
      ${describeClaimed("taken")}`,
  });
}

/** By whether the worker of the deliveries vanished before. */
const CLAIM = {
  any: claimOf("penstock-claim-deliveries", "true"),
  fresh: claimOf("penstock-claim-fresh-deliveries", "interruptions = 0"),
  interrupted: claimOf("penstock-claim-interrupted-deliveries", "interruptions > 0"),
};
const CLAIM_ALIKE = {
  any: claimOf("penstock-claim-alike-deliveries", "true", true),
  fresh: claimOf("penstock-claim-fresh-alike-deliveries", "interruptions = 0", true),
  interrupted: claimOf("penstock-claim-interrupted-alike-deliveries", "interruptions > 0", true),
};

export type ClaimRow = RowOf<(typeof CLAIM)["any"]>;

/** Claims due deliveries of a subscriber, the oldest first; see EngineStore.claimDeliveries. */
export async function claimDeliveries(db: Queryable, claim: Claim): Promise<ClaimedDelivery[]> {
  const { subscriber, limit, leaseMs, token = randomUUID(), interrupted, alike = false } = claim;
  const which = interrupted === undefined ? "any" : interrupted ? "interrupted" : "fresh";
  const { rows } = await query(db, (alike ? CLAIM_ALIKE : CLAIM)[which], { subscriber, limit, leaseMs, token });
  return rows.map(toClaimedDelivery);
}

export function toClaimedDelivery(row: ClaimRow): ClaimedDelivery {
  const { seq, day, subscriber, lane, token, attempts, generation, replay, traceparent, last_attempt } = row;
  return {
    seq: Number(seq),
    day,
    subscriber,
    lane,
    token,
    attempt: attempts,
    generation,
    replay,
    traceparent,
    lastAttempt: last_attempt,
    onRecord: row.on_record,
  };
}
