import { randomUUID } from "node:crypto";
import type { ClaimedDelivery, EngineStore } from "@penstock/engine";
import { CLAIMED_ROW, describeClaimed, toClaimedDelivery } from "./claim-deliveries.ts";
import { type Queryable, query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { IS_WAITING, UNTIL_NOW } from "./wake-lanes.ts";

type Claim = Parameters<EngineStore["claimLanes"]>[0];

/** How many overtaken deliveries of a lane one claim skips. */
const SKIP_AT_ONCE = 1_000;

const OPEN = "('pending', 'retrying')";

const subscriber = { subscriber: "text" } as const;
const interrupted = { interrupted: "bool" } as const;
const limit = { limit: "int4" } as const;

/**
 * The running delivery of a lane `h`, else the first delivery in one of these states. The index has the order of a lane per state, so
 * this reads one row per state, however many deliveries wait.
 */
const firstOf = (states: readonly string[], order: string) => sql`
  SELECT first.* FROM unnest(ARRAY[${states.map((state) => `'${state}'`).join(", ")}]) AS wanted,
         LATERAL (SELECT day, seq, lane_at, state, next_attempt_at, interruptions FROM penstock.deliveries
                   WHERE subscriber = ${subscriber} AND lane = h.lane AND state = wanted
                     AND state IN ('pending', 'running', 'retrying', 'dead') AND ${UNTIL_NOW}
                   ORDER BY ${order} LIMIT 1) AS first
   ORDER BY first.state = 'running' DESC, ${order} LIMIT 1`;

// newest-wins: skips deliveries that are older than the lane's mark. Past the limit, one delivery is left to wake the lane.
const SKIP_OVERTAKEN = sql`
  overtaken AS (
    UPDATE penstock.deliveries d
       SET state = CASE WHEN nth <= ${SKIP_AT_ONCE} THEN 'skipped' ELSE d.state END,
           next_attempt_at = CASE WHEN nth > ${SKIP_AT_ONCE} THEN now() END,
           skip_reason = CASE WHEN nth <= ${SKIP_AT_ONCE} THEN 'older than what its lane has applied, which is of '
             || to_char(h.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END,
           changed_at = now()
      FROM turns h,
           LATERAL (SELECT day, seq, row_number() OVER () AS nth FROM (
                      SELECT day, seq FROM penstock.deliveries
                       WHERE subscriber = ${subscriber} AND lane = h.lane AND state IN ${OPEN}
                         AND lane_at < h.applied_at AND ${UNTIL_NOW} LIMIT ${SKIP_AT_ONCE + 1}) AS some_of) AS old
     WHERE d.day = old.day AND d.seq = old.seq AND d.subscriber = ${subscriber} AND ${IS_WAITING}
       AND (h.its_turn OR NOT h.can_run) -- else it may be all that wakes a lane whose turn comes later
    RETURNING 1
  ),`;

/** strict: the oldest first. newest-wins: the newest first, and of equal dates the one that came first. */
const ORDERS = { strict: "lane_at, seq", "newest-wins": "lane_at DESC, seq" } as const;

/** How many more lanes than wanted a claim looks at, since some are busy or blocked. */
const SPARE_LANES = 10;

/**
 * The statement that claims heads of lanes. It finds deliveries that wake a lane and tries the lane's lock. Where it gets the lock,
 * it claims the head if the head is due and no delivery of the lane runs. Otherwise it clears the wake-up: the end of the
 * running delivery, the head's own time or an operator wakes the lane again. A head that was interrupted before is claimed
 * by the claim for interrupted deliveries only, and any other head by the claim for others.
 *
 * The statement decides by the snapshot it began with, and gets the lock a little later. So it takes a lane only if the lane's
 * count of changes is as in the snapshot: then nothing that the decision depends on has changed. (FOR UPDATE reads the
 * newest row. Deliveries that were added in between are not in the snapshot, and wake the lane later.)
 */
function claimOf(order: Claim["order"], onDead: Claim["onDead"]) {
  const newest = order === "newest-wins";
  const states = ["running", "pending", "retrying", ...(onDead === "block" ? ["dead"] : [])];
  const notOvertaken = (of: string): string =>
    newest ? `AND (h.applied_at IS NULL OR ${of}.lane_at >= h.applied_at)` : "";
  return statement({
    name: `penstock-claim-lanes-${order}-${onDead}`,
    rows: { moved: "int4", ...CLAIMED_ROW, seq: "int8?" },
    text: sql`
      WITH wakes AS MATERIALIZED (
        SELECT day, seq, lane, lane_at, next_attempt_at FROM penstock.deliveries
         WHERE subscriber = ${subscriber} AND state IN ${OPEN} AND lane IS NOT NULL AND next_attempt_at <= now()
           AND ${UNTIL_NOW} AND (interruptions > 0) = ${interrupted}
           AND (SELECT paused_at FROM penstock.handlers WHERE name = ${subscriber}) IS NULL
         ORDER BY next_attempt_at LIMIT ${{ wakes: "int8" }}
      ), wanted AS MATERIALIZED (
        SELECT w.lane, w.since, l.changes, l.applied_at, l.applied_seq
          FROM (SELECT lane, min(next_attempt_at) AS since FROM wakes
                 GROUP BY lane ORDER BY since LIMIT ${limit} + ${SPARE_LANES}) AS w
          LEFT JOIN LATERAL (SELECT * FROM penstock.lanes l
                              WHERE l.subscriber = ${subscriber} AND l.lane = w.lane OFFSET 0) AS l ON true
      ), opened AS (
        INSERT INTO penstock.lanes (subscriber, lane)
        SELECT ${subscriber}, lane FROM wanted WHERE changes IS NULL ORDER BY lane
            ON CONFLICT DO NOTHING
        RETURNING 1
      ), held AS MATERIALIZED (
        SELECT w.* FROM wanted w,
               LATERAL (SELECT FROM penstock.lanes l
                         WHERE l.subscriber = ${subscriber} AND l.lane = w.lane AND l.changes = w.changes
                           FOR UPDATE SKIP LOCKED) AS locked
      ), heads AS MATERIALIZED (
        SELECT h.*, head.day, head.seq, head.lane_at,
               coalesce(head.state IN ${OPEN} AND (head.next_attempt_at IS NULL OR head.next_attempt_at <= now())
                 ${notOvertaken("head")}, false) AS is_free,
               (head.interruptions > 0) = ${interrupted} AS is_ours
          FROM held h LEFT JOIN LATERAL (${firstOf(states, ORDERS[order])}) AS head ON true
      ), turns AS MATERIALIZED (
        SELECT *, is_free AND is_ours AS can_run,
               is_free AND is_ours
                 AND row_number() OVER (PARTITION BY is_free AND is_ours ORDER BY since) <= ${limit} AS its_turn
          FROM heads
      ), ${newest ? SKIP_OVERTAKEN : ""} taken AS (
        UPDATE penstock.deliveries d
           SET state = 'running', token = ${{ token: "uuid" }}, attempts = d.attempts + 1,
               next_attempt_at = NULL, changed_at = now(),
               lease_until = now() + make_interval(secs => ${{ leaseMs: "float8" }} / 1000),
               late = coalesce((h.lane_at, h.seq) < (h.applied_at, h.applied_seq), false)
          FROM turns h
         WHERE h.its_turn AND d.day = h.day AND d.seq = h.seq AND d.subscriber = ${subscriber} AND ${IS_WAITING}
        RETURNING d.*
      ), used_up AS MATERIALIZED (
        SELECT w.day, w.seq, w.next_attempt_at FROM turns h JOIN wakes w USING (lane)
         WHERE (h.its_turn OR NOT h.can_run) AND NOT (h.its_turn AND h.day = w.day AND h.seq = w.seq) ${notOvertaken("w")}
      ), resting AS (
        UPDATE penstock.deliveries d SET next_attempt_at = NULL
          FROM used_up w
         WHERE d.day = w.day AND d.seq = w.seq AND d.subscriber = ${subscriber} AND ${IS_WAITING}
           AND d.next_attempt_at = w.next_attempt_at
        RETURNING 1
      ), handed_over AS (
        UPDATE penstock.deliveries d SET next_attempt_at = now()
          FROM turns h
         WHERE h.is_free AND NOT h.is_ours AND d.day = h.day AND d.seq = h.seq AND d.subscriber = ${subscriber}
           AND ${IS_WAITING} AND d.next_attempt_at IS NULL
      ), counted AS (
        UPDATE penstock.lanes l SET changes = l.changes + 1 FROM taken t
         WHERE l.subscriber = ${subscriber} AND l.lane = t.lane
      ), done AS (
        SELECT (SELECT count(*) FROM opened) + (SELECT count(*) FROM resting)
               + ${newest ? "(SELECT count(*) FROM overtaken)" : "0"} AS moved
      )
      SELECT done.moved::int, claimed.*
        FROM done LEFT JOIN (${describeClaimed("taken")}) AS claimed ON true`,
  });
}

const CLAIM = {
  strict: { block: claimOf("strict", "block"), continue: claimOf("strict", "continue") },
  "newest-wins": { block: claimOf("newest-wins", "block"), continue: claimOf("newest-wins", "continue") },
};

/** Claims due heads of lanes; see EngineStore.claimLanes. */
export async function claimLanes(db: Queryable, claim: Claim): Promise<ClaimedDelivery[]> {
  const { subscriber, order, onDead, limit, leaseMs, token = randomUUID(), interrupted } = claim;
  const claimed: ClaimedDelivery[] = [];
  for (;;) {
    const wanted = limit - claimed.length;
    const values = { subscriber, limit: wanted, leaseMs, interrupted, wakes: 3 * wanted + 30, token };
    const { rows } = await query(db, CLAIM[order][onDead], values);
    for (const { seq, ...row } of rows) if (seq !== null) claimed.push(toClaimedDelivery({ ...row, seq }));
    // Rows of new lanes are there now, and cleared wake-ups have made way for others.
    if (claimed.length >= limit || (rows[0]?.moved ?? 0) === 0) return claimed;
  }
}
