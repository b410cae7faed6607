import type { ClaimedDelivery, ClaimedEffect, EngineStore } from "@penstock/engine";
import { toClaimedDelivery } from "./claim-deliveries.ts";
import { claimLanes } from "./claim-lanes.ts";
import { query, type Store } from "./create-store.ts";
import { IS_OPEN_ENDPOINT } from "./endpoint-health.ts";
import { readEvents } from "./read-events.ts";
import { replayAs } from "./replay-columns.ts";
import { UNTIL_NOW } from "./wake-lanes.ts";

/** More than any claim takes. */
const MOST = 1_000;

// No code of a user's runs between claim and result, so what a lost worker had under way is claimed as all else is.
// Made to be planned once: there is a partition for each day, and to plan for all of them takes ten times as long as to
// claim. Of LIMIT $2 alone Postgres thinks that it is a tenth of all that waits; then each plan for the number itself looks
// better, and the one for any number would read whole tables. Hence the second LIMIT, the arrays, and LIMIT 1.
const CLAIM = {
  name: "penstock-claim-for-endpoint",
  text: `
    WITH due AS MATERIALIZED (
      SELECT day, seq FROM (
        SELECT day, seq FROM penstock.deliveries
         WHERE subscriber = $1 AND state IN ('pending', 'retrying') AND next_attempt_at <= now() AND lane IS NULL
           AND ${UNTIL_NOW}
           AND (SELECT true FROM penstock.endpoints e JOIN penstock.handlers h ON h.name = e.id
                 WHERE e.id = $1 AND ${IS_OPEN_ENDPOINT})
         ORDER BY next_attempt_at LIMIT ${MOST} FOR UPDATE SKIP LOCKED) AS some_of
       LIMIT $2
    ), claimed AS (
      UPDATE penstock.deliveries d
         SET state = 'running', token = gen_random_uuid(), attempts = d.attempts + 1, next_attempt_at = NULL,
             lease_until = now() + make_interval(secs => $3::float8 / 1000), changed_at = now()
        FROM unnest(ARRAY(SELECT day FROM due), ARRAY(SELECT seq FROM due)) AS due (day, seq)
       WHERE d.day = due.day AND d.seq = due.seq AND d.subscriber = $1
      RETURNING d.day, d.seq, d.token, d.attempts, d.generation, d.replay_id
    )
    SELECT d.day::text, d.seq::text, d.token::text, d.attempts, d.generation, before.on_record, before.last_attempt,
           CASE WHEN d.replay_id IS NOT NULL THEN ${replayAs("d.replay_id")} END AS replay
      FROM claimed d,
           LATERAL (SELECT count(*) > 0 AS on_record,
                           (array_agg(traceparent ORDER BY started_at DESC) FILTER (WHERE traceparent IS NOT NULL))[1]
                             AS last_attempt
                      FROM penstock.attempts WHERE day = d.day AND seq = d.seq AND subscriber = $1) AS before`,
};

interface Row {
  day: string;
  seq: string;
  token: string;
  attempts: number;
  generation: number;
  on_record: boolean;
  last_attempt: string | null;
  replay: ClaimedDelivery["replay"];
}

/** Takes what is due for an endpoint, those that have been so for longest first; see EngineStore.claimForEndpoint. */
export async function claimForEndpoint(
  store: Store,
  id: string,
  { limit, leaseMs, lanes }: Parameters<EngineStore["claimForEndpoint"]>[1],
): Promise<ClaimedEffect[]> {
  const { rows } = await query<Row>(store.pool, CLAIM, [id, limit, leaseMs]);
  const claimed = rows.map((row) => toClaimedDelivery({ ...row, subscriber: id, lane: null, traceparent: null }));
  const heads = { subscriber: id, order: "strict", onDead: "continue", leaseMs } as const;
  for (const interrupted of lanes ? [false, true] : []) {
    const left = limit - claimed.length;
    if (left === 0) break;
    claimed.push(...(await claimLanes(store, { ...heads, interrupted, limit: left })));
  }
  return withEvents(store, claimed);
}

/** In the order of the claim. */
async function withEvents(store: Store, claimed: readonly ClaimedDelivery[]): Promise<ClaimedEffect[]> {
  const events = new Map((await readEvents(store.pool, claimed)).map((event) => [event.seq, event]));
  return claimed.flatMap((delivery) => {
    const event = events.get(delivery.seq);
    if (event === undefined) return [];
    const { traceparent } = event;
    const replay = delivery.replay ?? event.replay;
    return [{ delivery: { ...delivery, replay, traceparent }, event, done: new Map<string, unknown>() }];
  });
}
