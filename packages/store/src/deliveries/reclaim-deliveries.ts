import type { ClaimedDelivery, EngineStore, Reclaimed } from "@penstock/engine";
import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { type LaneKey, lockLanes, wakeLanes } from "./wake-lanes.ts";

const IS_INTERRUPTED_DUE = statement({
  name: "penstock-is-interrupted-due",
  text: sql`
    SELECT FROM penstock.deliveries
     WHERE state IN ('pending', 'retrying') AND next_attempt_at <= now() AND subscriber = ANY(${{ subscribers: "text[]" }})
       AND NOT EXISTS (SELECT FROM penstock.handlers h WHERE h.name = subscriber AND h.paused_at IS NOT NULL)
       AND interruptions > 0 LIMIT 1`,
});

/** True when an interrupted delivery of these subscribers is due; see EngineStore.isInterruptedDue. */
export async function isInterruptedDue(store: Store, subscribers: readonly string[]): Promise<boolean> {
  const { rowCount } = await query(store.pool, IS_INTERRUPTED_DUE, { subscribers });
  return rowCount === 1;
}

type Held = Pick<ClaimedDelivery, "day" | "seq" | "subscriber" | "lane" | "token">;

const RELEASE = statement({
  text: sql`
    UPDATE penstock.deliveries d
       SET state = CASE WHEN attempts > 1 THEN 'retrying' ELSE 'pending' END, attempts = attempts - 1,
           token = NULL, lease_until = NULL, changed_at = now(),
           next_attempt_at = now() + make_interval(secs => ${{ restMs: "float8" }} / 1000)
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", tokens: "uuid[]" }})
           AS r (day, seq, subscriber, token)
     WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
       AND d.state = 'running'`,
});

/** Hands deliveries back as they were before the claim; see EngineStore.releaseDeliveries. */
export async function releaseDeliveries(
  store: Store,
  deliveries: readonly Held[],
  { restMs = 0 }: { restMs?: number } = {},
): Promise<void> {
  if (deliveries.length === 0) return;
  const lanes = deliveries.filter((delivery): delivery is Held & LaneKey => delivery.lane !== null);
  await transaction(store, async (client) => {
    await query(client, RELEASE, {
      restMs,
      days: deliveries.map(({ day }) => day),
      seqs: deliveries.map(({ seq }) => seq),
      subscribers: deliveries.map(({ subscriber }) => subscriber),
      tokens: deliveries.map(({ token }) => token),
    });
    // An older delivery may have come meanwhile, and be the head now.
    await lockLanes(client, lanes);
    await wakeLanes(client, lanes);
  });
}

const TAKEN_BY = statement({
  rows: { day: "text", seq: "int8", lane: "text?" },
  text: sql`
    SELECT day::text, seq, lane FROM penstock.deliveries
     WHERE subscriber = ${{ subscriber: "text" }} AND state = 'running' AND state <> 'succeeded'
       AND token = ${{ token: "uuid" }}`,
});

/** Hands back the deliveries of a claim whose answer got lost; see EngineStore.releaseClaim. */
export async function releaseClaim(store: Store, { subscriber, token }: Parameters<EngineStore["releaseClaim"]>[0]) {
  const { rows } = await query(store.pool, TAKEN_BY, { subscriber, token });
  await releaseDeliveries(
    store,
    rows.map(({ day, seq, lane }) => ({ day, seq: Number(seq), subscriber, lane, token })),
  );
}

/** How many deliveries of vanished workers one transaction takes back. */
const RECLAIM_AT_ONCE = 500;

const maxInterruptions = { maxInterruptions: "int4" } as const;

const RECLAIM = statement({
  name: "penstock-reclaim-deliveries",
  rows: {
    retrying: "int4",
    more: "bool",
    dead: column<Reclaimed["dead"]>("jsonb"),
    lanes: column<LaneKey[]>("jsonb"),
  },
  text: sql`
    WITH lost AS (
      -- A delivery to an endpoint runs no user code, so it cannot have killed its process: it is tried again at no cost.
      SELECT day, seq, subscriber, changed_at AS claimed_at, starts_with(subscriber, '${ENDPOINT_PREFIX}') AS is_endpoint
        FROM penstock.deliveries
       WHERE state = 'running' AND lease_until < now()
         AND pg_postmaster_start_time() <= now() - make_interval(secs => ${{ afterOutageMs: "float8" }} / 1000)
       ORDER BY lease_until LIMIT ${RECLAIM_AT_ONCE} FOR UPDATE SKIP LOCKED
    ), back AS (
      UPDATE penstock.deliveries d
         SET interruptions = d.interruptions + 1, token = NULL, lease_until = NULL, changed_at = now(),
             attempts = d.attempts - is_endpoint::int,
             state = CASE WHEN NOT is_endpoint AND d.interruptions + 1 >= ${maxInterruptions} THEN 'dead' ELSE 'retrying' END,
             next_attempt_at = CASE WHEN is_endpoint OR d.interruptions + 1 < ${maxInterruptions} THEN now() END,
             issue = CASE WHEN is_endpoint OR d.interruptions + 1 < ${maxInterruptions} THEN d.issue END
        FROM lost WHERE d.day = lost.day AND d.seq = lost.seq AND d.subscriber = lost.subscriber
      RETURNING d.*, claimed_at
    ), noted AS (
      INSERT INTO penstock.attempts
             (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker,
              replay_id)
      SELECT day, seq, subscriber, attempts, claimed_at, now(), 'interrupted', 'LeaseExpired',
             'the worker that ran it vanished, as ' || ${{ finder: "text" }} || ' found', '', replay_id
        FROM back
    )
    SELECT count(*) FILTER (WHERE state = 'retrying')::int AS retrying, count(*) = ${RECLAIM_AT_ONCE} AS more,
           coalesce(jsonb_agg(jsonb_build_object('seq', seq, 'handler', subscriber)) FILTER (WHERE state = 'dead'), '[]')
             AS dead,
           coalesce(jsonb_agg(jsonb_build_object('subscriber', subscriber, 'lane', lane)) FILTER (WHERE lane IS NOT NULL),
                    '[]') AS lanes
      FROM back`,
});

/** Takes back deliveries whose lease has run out; see EngineStore.reclaimDeliveries. */
export async function reclaimDeliveries(
  store: Store,
  workerName: string,
  { maxInterruptions, afterOutageMs }: { maxInterruptions: number; afterOutageMs: number },
): Promise<Reclaimed> {
  return transaction(store, async (client) => {
    const { rows } = await query(client, RECLAIM, { maxInterruptions, finder: workerName, afterOutageMs });
    const { lanes, ...reclaimed } = rows[0] ?? { retrying: 0, dead: [], more: false, lanes: [] };
    await lockLanes(client, lanes);
    await wakeLanes(client, lanes);
    return reclaimed;
  });
}
