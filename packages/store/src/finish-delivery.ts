import type { ClaimedDelivery, DeliveryResult, StoredEvent } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";
import { recordAttempts } from "./record-deliveries.ts";
import { EVENT_COLUMNS, type EventRow, toStoredEvent } from "./stored-event.ts";
import { wakeLanes } from "./wake-lanes.ts";

/** Locks a running delivery and reads its event; see EngineTransaction.lockDelivery. */
export async function lockDelivery(client: pg.PoolClient, delivery: ClaimedDelivery): Promise<StoredEvent | null> {
  const { rows } = await query<EventRow>(
    client,
    `SELECT ${EVENT_COLUMNS}
       FROM penstock.deliveries d JOIN penstock.events e ON e.day = d.day AND e.seq = d.seq
      WHERE d.day = $1 AND d.seq = $2 AND d.subscriber = $3 AND d.token = $4 AND d.state = 'running'
        FOR UPDATE OF d`,
    [delivery.day, delivery.seq, delivery.subscriber, delivery.token],
  );
  return rows[0] === undefined ? null : toStoredEvent(rows[0]);
}

/** Writes what became of a running delivery; see EngineTransaction.finishDelivery. */
export async function finishDelivery(
  client: pg.PoolClient,
  workerName: string,
  delivery: ClaimedDelivery,
  result: DeliveryResult,
): Promise<boolean> {
  const { rowCount } = await query(
    client,
    `UPDATE penstock.deliveries
        SET state = $5, attempts = $6, token = NULL, lease_until = NULL, changed_at = clock_timestamp(),
            next_attempt_at = clock_timestamp() + make_interval(secs => $7::float8 / 1000),
            lane = coalesce($8, lane), lane_at = coalesce($9, lane_at), skip_reason = $10
      WHERE day = $1 AND seq = $2 AND subscriber = $3 AND token = $4 AND state = 'running'`,
    [
      delivery.day,
      delivery.seq,
      delivery.subscriber,
      delivery.token,
      result.state,
      result.attempts,
      result.retryInMs ?? null,
      result.lane?.key ?? null,
      result.lane?.at ?? null,
      result.skipReason ?? null,
    ],
  );
  if (rowCount !== 1) return false;
  await recordAttempts(client, workerName, [result], delivery.replay?.id);
  const { day, seq, subscriber, lane } = delivery;
  if (lane !== null) {
    await query(client, MARK, [subscriber, lane, day, seq, result.state === "succeeded"]);
    await wakeLanes(client, [{ subscriber, lane }]);
  }
  return true;
}

// Locks the lane, after the delivery; see lockLanes. A date in the future moves the mark no further than now: what comes
// next would all be older.
const MARK = {
  name: "penstock-mark-lane",
  text: `
    UPDATE penstock.lanes l
       SET changes = l.changes + 1,
           (applied_at, applied_seq) = (
             SELECT CASE WHEN newer THEN at ELSE l.applied_at END, CASE WHEN newer THEN seq ELSE l.applied_seq END
               FROM (SELECT at, seq, $5 AND (l.applied_at IS NULL OR (at, seq) > (l.applied_at, l.applied_seq)) AS newer
                       FROM (SELECT least(lane_at, clock_timestamp()) AS at, seq FROM penstock.deliveries
                              WHERE day = $3 AND seq = $4 AND subscriber = $1) AS own) AS mark)
     WHERE l.subscriber = $1 AND l.lane = $2`,
};
