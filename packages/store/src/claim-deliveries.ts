import type { ClaimedDelivery, EngineStore, Reclaimed } from "@penstock/engine";
import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "./create-store.ts";
import { REPLAY_ID_OF_DELIVERY, REPLAY_OF_DELIVERY } from "./replay-columns.ts";
import { transaction } from "./transaction.ts";
import { type LaneKey, lockLanes, wakeLanes } from "./wake-lanes.ts";

/** What is told of a claimed delivery `d`. */
export const CLAIMED_COLUMNS = `
  d.seq::text, d.day::text, d.subscriber, d.lane, d.token::text, d.attempts, d.generation,
  ${REPLAY_OF_DELIVERY} AS replay,
  (SELECT traceparent FROM penstock.events e WHERE e.day = d.day AND e.seq = d.seq) AS traceparent,
  (SELECT traceparent FROM penstock.attempts a
    WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND a.traceparent IS NOT NULL
    ORDER BY started_at DESC LIMIT 1) AS last_attempt,
  EXISTS (SELECT FROM penstock.attempts a WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber)
    AS on_record`;

const IS_PAUSED = "EXISTS (SELECT FROM penstock.handlers h WHERE h.name = $1 AND h.paused_at IS NOT NULL)";

// One subscriber by `=`: the index (subscriber, next_attempt_at) then hands out the oldest without a sort, 0.1 ms with
// 14,000 waiting. With `subscriber = ANY(…)` Postgres sorts all that waits, 20 ms at each claim.
// Whether the handler is paused is asked once, not row by row: a million may wait for one.
// Materialised: were the plan to scan the inner query twice, the second scan would skip what the first has locked, lock
// further rows, and the claim would exceed its limit.
// Deliveries in lanes have a claim of their own.
// Of those alike: what one transaction cannot share would wait for it under its lease. Left out, it is locked for the length
// of this statement and not written.
const claimWhere = (name: string, condition: string) => ({
  name,
  text: `
    WITH due AS MATERIALIZED (
      SELECT day, seq, subscriber, next_attempt_at, attempts, generation, ${REPLAY_ID_OF_DELIVERY} AS replay_id
        FROM penstock.deliveries d
       WHERE state IN ('pending', 'retrying') AND next_attempt_at <= now() AND subscriber = $1
         AND (SELECT NOT ${IS_PAUSED}) AND lane IS NULL AND ${condition}
       ORDER BY next_attempt_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED
    ), taken AS (
      SELECT due.day, due.seq, due.subscriber
        FROM due, (SELECT attempts, generation, replay_id FROM due ORDER BY next_attempt_at LIMIT 1) AS oldest
       WHERE NOT $4 OR (due.attempts = oldest.attempts AND due.generation = oldest.generation
                        AND due.replay_id IS NOT DISTINCT FROM oldest.replay_id)
    )
    UPDATE penstock.deliveries d
       SET state = 'running', token = gen_random_uuid(), attempts = d.attempts + 1, next_attempt_at = NULL,
           lease_until = now() + make_interval(secs => $3::float8 / 1000), changed_at = now()
      FROM taken
     WHERE d.day = taken.day AND d.seq = taken.seq AND d.subscriber = taken.subscriber
    RETURNING ${CLAIMED_COLUMNS}`,
});
const CLAIM = claimWhere("penstock-claim-deliveries", "interruptions = 0");
const CLAIM_INTERRUPTED = claimWhere("penstock-claim-interrupted-deliveries", "interruptions > 0");

export interface ClaimRow {
  seq: string;
  day: string;
  subscriber: string;
  lane: string | null;
  token: string;
  attempts: number;
  generation: number;
  replay: ClaimedDelivery["replay"];
  traceparent: string | null;
  last_attempt: string | null;
  on_record: boolean;
}

/** Takes due deliveries of a subscriber, oldest first; see EngineStore.claimDeliveries. */
export async function claimDeliveries(
  store: Store,
  options: Parameters<EngineStore["claimDeliveries"]>[0],
): Promise<ClaimedDelivery[]> {
  const { subscriber, limit, leaseMs, interrupted, alike = false } = options;
  const claim = interrupted ? CLAIM_INTERRUPTED : CLAIM;
  const { rows } = await query<ClaimRow>(store.pool, claim, [subscriber, limit, leaseMs, alike]);
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

/** True when an interrupted delivery of these subscribers is due; see EngineStore.isInterruptedDue. */
export async function isInterruptedDue(store: Store, subscribers: readonly string[]): Promise<boolean> {
  const { rowCount } = await query(
    store.pool,
    {
      name: "penstock-is-interrupted-due",
      text: `SELECT FROM penstock.deliveries
              WHERE state IN ('pending', 'retrying') AND next_attempt_at <= now() AND subscriber = ANY($1)
                AND NOT EXISTS (SELECT FROM penstock.handlers h WHERE h.name = subscriber AND h.paused_at IS NOT NULL)
                AND interruptions > 0 LIMIT 1`,
    },
    [[...subscribers]],
  );
  return rowCount === 1;
}

/** Hands deliveries back as they were before the claim; see EngineStore.releaseDeliveries. */
export async function releaseDeliveries(
  store: Store,
  deliveries: readonly ClaimedDelivery[],
  { restMs = 0 }: { restMs?: number } = {},
): Promise<void> {
  if (deliveries.length === 0) return;
  const lanes = deliveries.filter((delivery): delivery is ClaimedDelivery & LaneKey => delivery.lane !== null);
  await transaction(store, async (client) => {
    await query(
      client,
      `UPDATE penstock.deliveries d
          SET state = CASE WHEN attempts > 1 THEN 'retrying' ELSE 'pending' END, attempts = attempts - 1,
              token = NULL, lease_until = NULL, changed_at = now(),
              next_attempt_at = now() + make_interval(secs => $5::float8 / 1000)
         FROM unnest($1::date[], $2::bigint[], $3::text[], $4::uuid[]) AS r (day, seq, subscriber, token)
        WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
          AND d.state = 'running'`,
      [
        deliveries.map(({ day }) => day),
        deliveries.map(({ seq }) => seq),
        deliveries.map(({ subscriber }) => subscriber),
        deliveries.map(({ token }) => token),
        restMs,
      ],
    );
    // An older one may have come meanwhile.
    await lockLanes(client, lanes);
    await wakeLanes(client, lanes);
  });
}

/** How many deliveries of lost workers are taken back in one transaction. */
const RECLAIM_AT_ONCE = 500;

const RECLAIM = {
  name: "penstock-reclaim-deliveries",
  text: `
    WITH lost AS (
      -- No code of a user's runs in a delivery to an endpoint: it has taken no process down, and is tried again at no cost.
      SELECT day, seq, subscriber, changed_at AS claimed_at, starts_with(subscriber, '${ENDPOINT_PREFIX}') AS is_endpoint
        FROM penstock.deliveries
       WHERE state = 'running' AND lease_until < now()
         AND pg_postmaster_start_time() <= now() - make_interval(secs => $3::float8 / 1000)
       ORDER BY lease_until LIMIT ${RECLAIM_AT_ONCE} FOR UPDATE SKIP LOCKED
    ), back AS (
      UPDATE penstock.deliveries d
         SET interruptions = d.interruptions + 1, token = NULL, lease_until = NULL, changed_at = now(),
             attempts = d.attempts - is_endpoint::int,
             state = CASE WHEN NOT is_endpoint AND d.interruptions + 1 >= $1 THEN 'dead' ELSE 'retrying' END,
             next_attempt_at = CASE WHEN is_endpoint OR d.interruptions + 1 < $1 THEN now() END
        FROM lost WHERE d.day = lost.day AND d.seq = lost.seq AND d.subscriber = lost.subscriber
      RETURNING d.*, claimed_at
    ), noted AS (
      INSERT INTO penstock.attempts
             (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker,
              replay_id)
      SELECT day, seq, subscriber, attempts, claimed_at, now(), 'interrupted', 'LeaseExpired',
             'the worker that ran it vanished, as ' || $2 || ' found', '', replay_id
        FROM back
    )
    SELECT count(*) FILTER (WHERE state = 'retrying')::int AS retrying, count(*) = ${RECLAIM_AT_ONCE} AS more,
           coalesce(jsonb_agg(jsonb_build_object('seq', seq, 'handler', subscriber)) FILTER (WHERE state = 'dead'), '[]')
             AS dead,
           coalesce(jsonb_agg(jsonb_build_object('subscriber', subscriber, 'lane', lane)) FILTER (WHERE lane IS NOT NULL),
                    '[]') AS lanes
      FROM back`,
};

/** Ends deliveries whose lease has run out; see EngineStore.reclaimDeliveries. */
export async function reclaimDeliveries(
  store: Store,
  workerName: string,
  { maxInterruptions, afterOutageMs }: { maxInterruptions: number; afterOutageMs: number },
): Promise<Reclaimed> {
  return transaction(store, async (client) => {
    const { rows } = await query<Reclaimed & { lanes: LaneKey[] }>(client, RECLAIM, [
      maxInterruptions,
      workerName,
      afterOutageMs,
    ]);
    const { lanes, ...reclaimed } = rows[0] ?? { retrying: 0, dead: [], more: false, lanes: [] };
    await lockLanes(client, lanes);
    await wakeLanes(client, lanes);
    return reclaimed;
  });
}
