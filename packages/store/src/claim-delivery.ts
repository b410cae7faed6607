import type { ClaimedEffect, EngineStore } from "@penstock/engine";
import { claimLaneOf } from "./claim-lanes.ts";
import { query, type Store } from "./create-store.ts";
import { readEvent } from "./read-events.ts";
import { replayAs } from "./replay-columns.ts";

// Also one that this very claim has taken already, whose answer got lost: it is known by its token.
const CLAIM = {
  name: "penstock-claim-delivery",
  text: `
    WITH taken AS (
      UPDATE penstock.deliveries
         SET state = 'running', token = $4, attempts = attempts + (state <> 'running')::int, next_attempt_at = NULL,
             lease_until = now() + make_interval(secs => $5::float8 / 1000), changed_at = now()
       WHERE day = $1 AND seq = $2 AND subscriber = $3
         AND (state IN ('pending', 'retrying') AND lane IS NULL AND next_attempt_at <= now()
              AND (interruptions > 0) = $6
              AND NOT EXISTS (SELECT FROM penstock.handlers h WHERE h.name = $3 AND h.paused_at IS NOT NULL)
              OR state = 'running' AND token = $4)
      RETURNING day, seq, subscriber, lane, attempts, generation, replay_id
    )
    SELECT t.lane, t.attempts, t.generation, CASE WHEN t.replay_id IS NOT NULL THEN ${replayAs("t.replay_id")} END AS replay,
           (SELECT a.traceparent FROM penstock.attempts a
             WHERE a.day = t.day AND a.seq = t.seq AND a.subscriber = t.subscriber AND a.traceparent IS NOT NULL
             ORDER BY started_at DESC LIMIT 1) AS last_attempt,
           EXISTS (SELECT FROM penstock.attempts a
                    WHERE a.day = t.day AND a.seq = t.seq AND a.subscriber = t.subscriber) AS on_record,
           (SELECT json_object_agg(f.key, f.result) FROM penstock.effects f
             WHERE f.seq = t.seq AND f.subscriber = t.subscriber AND f.generation = t.generation) AS done
      FROM taken t`,
};

interface ClaimRow {
  lane: string | null;
  attempts: number;
  generation: number;
  replay: ClaimedEffect["delivery"]["replay"];
  last_attempt: string | null;
  on_record: boolean;
  done: Record<string, unknown> | null;
}

/** Takes one delivery where it is to be run, or the head of the lane that it wakes; see EngineStore.claimDelivery. */
export async function claimDelivery(
  store: Store,
  pointer: Parameters<EngineStore["claimDelivery"]>[0],
  options: Parameters<EngineStore["claimDelivery"]>[1],
): Promise<ClaimedEffect | null> {
  const claimed = await take(store, pointer, options);
  if (claimed !== null) return claimed;
  const { subscriber } = pointer;
  const head = await claimLaneOf(store, pointer, { ...options, ...options.lanes, subscriber });
  return head === null ? null : take(store, { ...head, subscriber }, options);
}

async function take(
  store: Store,
  { day, seq, subscriber }: Parameters<EngineStore["claimDelivery"]>[0],
  { token, leaseMs, interrupted }: Parameters<EngineStore["claimDelivery"]>[1],
): Promise<ClaimedEffect | null> {
  const values = [day, seq, subscriber, token, leaseMs, interrupted];
  const [{ rows }, event] = await Promise.all([
    query<ClaimRow>(store.pool, CLAIM, values),
    readEvent(store.pool, { day, seq }),
  ]);
  const [row] = rows;
  if (row === undefined || event === null) return null;
  const { lane, attempts: attempt, generation, last_attempt: lastAttempt } = row;
  return {
    delivery: {
      day,
      seq,
      subscriber,
      lane,
      token,
      attempt,
      generation,
      replay: row.replay ?? event.replay,
      traceparent: event.traceparent,
      lastAttempt,
      onRecord: row.on_record,
    },
    event,
    done: new Map(Object.entries(row.done ?? {})),
  };
}
