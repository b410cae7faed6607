import type { ClaimedDelivery, FinishedDelivery } from "@penstock/engine";
import { ENDPOINT_PREFIX } from "@penstock/schemas";
import type pg from "pg";
import { query, type Queryable, type Store } from "../connection/create-store.ts";
import { recordAttempts } from "./record-deliveries.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { type LaneKey, lockLanes, toColumns, wakeLanes } from "./wake-lanes.ts";

type Finished = readonly FinishedDelivery[];

// The only statement that writes results of running deliveries. It looks rows up by key, whatever the statistics say: see
// claim-batches.ts.
const FINISH = statement({
  name: "penstock-finish-deliveries",
  rows: { nth: "int4" },
  text: sql`
    UPDATE penstock.deliveries d
       SET state = r.state, attempts = r.attempts, token = NULL, lease_until = NULL, changed_at = clock_timestamp(),
           next_attempt_at = clock_timestamp() + make_interval(secs => r.retry_in_ms / 1000),
           lane = coalesce(r.lane, d.lane), lane_at = coalesce(r.lane_at, d.lane_at), skip_reason = r.skip_reason,
           -- What died anew is sorted anew.
           issue = CASE WHEN r.state NOT IN ('succeeded', 'dead') THEN d.issue END
      FROM (SELECT nth, day, seq, subscriber, token, attempts, lane, lane_at, skip_reason,
                   -- Nothing may wait for an endpoint that was deleted meanwhile.
                   CASE WHEN is_gone THEN 'cancelled' ELSE state END AS state,
                   CASE WHEN NOT is_gone THEN retry_in_ms END AS retry_in_ms
              FROM (SELECT *, state IN ('pending', 'retrying') AND starts_with(subscriber, '${ENDPOINT_PREFIX}')
                              AND NOT EXISTS (SELECT FROM penstock.endpoints e WHERE e.id = subscriber) AS is_gone
                      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", tokens: "uuid[]" }},
                                  ${{ states: "text[]", attempts: "int2[]", retriesInMs: "float8[]", lanes: "text[]" }},
                                  ${{ lanesAt: "timestamptz[]", skipReasons: "text[]" }}) WITH ORDINALITY
                           AS r (day, seq, subscriber, token, state, attempts, retry_in_ms, lane, lane_at, skip_reason, nth)
                   ) AS given) AS r
     WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
       AND (d.state = 'running') IS TRUE
    RETURNING r.nth::int`,
});

/** Writes results of running deliveries; see EngineStore.finishDeliveries. */
export async function finishDeliveries(
  store: Store,
  workerName: string,
  finished: Finished,
): Promise<readonly ClaimedDelivery[]> {
  // Successes at the first attempt, by far the most results, are one statement without BEGIN and COMMIT.
  const isPlain = finished.every(({ delivery, result }) => delivery.lane === null && result.attempt === undefined);
  const written = isPlain
    ? await finish(store.pool, finished)
    : await transaction(store, (client) => finishWithin(client, workerName, finished));
  return written.map(({ delivery }) => delivery);
}

/** Writes results of running deliveries inside a transaction; resolves to those that were written. */
export async function finishWithin(client: pg.PoolClient, workerName: string, finished: Finished): Promise<Finished> {
  const written = await finish(client, finished);
  const byReplay = Map.groupBy(written, ({ delivery }) => delivery.replay?.id ?? null);
  const laned = written.filter((one): one is InLane => one.delivery.lane !== null);
  const lanes = laned.map(({ delivery }) => delivery);
  await Promise.all([
    ...Array.from(byReplay, ([replay, of]) =>
      recordAttempts(
        client,
        workerName,
        of.map(({ result }) => result),
        replay,
      ),
    ),
    // Lanes after deliveries; see lockLanes.
    lockLanes(client, lanes),
    markLanes(client, laned),
    wakeLanes(client, lanes),
  ]);
  return written;
}

async function finish(db: Queryable, finished: Finished): Promise<Finished> {
  const { rows } = await query(db, FINISH, {
    days: finished.map(({ delivery }) => delivery.day),
    seqs: finished.map(({ delivery }) => delivery.seq),
    subscribers: finished.map(({ delivery }) => delivery.subscriber),
    tokens: finished.map(({ delivery }) => delivery.token),
    states: finished.map(({ result }) => result.state),
    attempts: finished.map(({ result }) => result.attempts),
    retriesInMs: finished.map(({ result }) => result.retryInMs),
    lanes: finished.map(({ result }) => result.lane?.key),
    lanesAt: finished.map(({ result }) => result.lane?.at),
    skipReasons: finished.map(({ result }) => result.skipReason),
  });
  return rows.flatMap(({ nth }) => finished.slice(nth - 1, nth));
}

type InLane = FinishedDelivery & { readonly delivery: LaneKey };

// A date in the future moves the mark no further than now: otherwise all later deliveries would count as older.
const MARK = statement({
  name: "penstock-mark-lanes",
  text: sql`
    UPDATE penstock.lanes l SET applied_at = own.at, applied_seq = own.seq
      FROM unnest(${{ subscribers: "text[]", lanes: "text[]", days: "date[]", seqs: "int8[]" }})
             AS w (subscriber, lane, day, seq),
           LATERAL (SELECT least(lane_at, clock_timestamp()) AS at, seq FROM penstock.deliveries
                     WHERE day = w.day AND seq = w.seq AND subscriber = w.subscriber LIMIT 1) AS own
     WHERE l.subscriber = w.subscriber AND l.lane = w.lane
       AND (l.applied_at IS NULL OR (own.at, own.seq) > (l.applied_at, l.applied_seq))`,
});

/** Moves the marks of lanes to what has succeeded. The lanes must be locked. */
async function markLanes(client: pg.PoolClient, finished: readonly InLane[]): Promise<void> {
  const succeeded = finished.filter(({ result }) => result.state === "succeeded").map(({ delivery }) => delivery);
  if (succeeded.length === 0) return;
  await query(client, MARK, {
    ...toColumns(succeeded),
    days: succeeded.map(({ day }) => day),
    seqs: succeeded.map(({ seq }) => seq),
  });
}
