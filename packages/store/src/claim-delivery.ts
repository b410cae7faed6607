import type { ClaimedEffect, EngineStore } from "@penstock/engine";
import { claimLaneOf } from "./claim-lanes.ts";
import { query, type Store } from "./create-store.ts";
import { replayAs } from "./replay-columns.ts";
import { EVENT_COLUMNS, type EventRow, toStoredEvent } from "./stored-event.ts";

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
    SELECT ${EVENT_COLUMNS}, t.lane, t.attempts, t.generation,
           ${replayAs("t.replay_id")} AS own_replay,
           (SELECT a.traceparent FROM penstock.attempts a
             WHERE a.day = t.day AND a.seq = t.seq AND a.subscriber = t.subscriber AND a.traceparent IS NOT NULL
             ORDER BY started_at DESC LIMIT 1) AS last_attempt,
           EXISTS (SELECT FROM penstock.attempts a
                    WHERE a.day = t.day AND a.seq = t.seq AND a.subscriber = t.subscriber) AS on_record,
           (SELECT json_object_agg(f.key, f.result) FROM penstock.effects f
             WHERE f.seq = t.seq AND f.subscriber = t.subscriber AND f.generation = t.generation) AS done
      FROM taken t JOIN penstock.events e ON e.day = t.day AND e.seq = t.seq`,
};

interface ClaimRow extends EventRow {
  lane: string | null;
  attempts: number;
  generation: number;
  own_replay: EventRow["replay"];
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
  const { rows } = await query<ClaimRow>(store.pool, CLAIM, [day, seq, subscriber, token, leaseMs, interrupted]);
  const [row] = rows;
  if (row === undefined) return null;
  const { lane, attempts: attempt, generation, traceparent, last_attempt: lastAttempt } = row;
  return {
    delivery: {
      day,
      seq,
      subscriber,
      lane,
      token,
      attempt,
      generation,
      replay: row.own_replay ?? row.replay,
      traceparent,
      lastAttempt,
      onRecord: row.on_record,
    },
    event: toStoredEvent(row),
    done: new Map(Object.entries(row.done ?? {})),
  };
}
