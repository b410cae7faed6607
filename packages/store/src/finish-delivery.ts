import type { ClaimedDelivery, DeliveryResult, LockedDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";
import { recordAttempts } from "./record-deliveries.ts";
import { readEvents } from "./read-events.ts";
import { wakeLanes } from "./wake-lanes.ts";

// Row by row by key: see claim-batches.ts.
const LOCK = {
  name: "penstock-lock-deliveries",
  text: `
    SELECT r.nth::int
      FROM unnest($1::date[], $2::bigint[], $3::text[], $4::uuid[]) WITH ORDINALITY AS r (day, seq, subscriber, token, nth),
           LATERAL (SELECT FROM penstock.deliveries d
                     WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
                       AND d.state = 'running' LIMIT 1 FOR UPDATE) AS d`,
};

/** Locks running deliveries and reads their events; see EngineTransaction.lockDeliveries. */
export async function lockDeliveries(
  client: pg.PoolClient,
  deliveries: readonly ClaimedDelivery[],
  maxBytes: number,
): Promise<LockedDelivery[]> {
  const [{ rows }, events] = await Promise.all([
    query<{ nth: number }>(client, LOCK, [
      deliveries.map(({ day }) => day),
      deliveries.map(({ seq }) => seq),
      deliveries.map(({ subscriber }) => subscriber),
      deliveries.map(({ token }) => token),
    ]),
    readEvents(client, deliveries, maxBytes),
  ]);
  const held = new Map(rows.flatMap(({ nth }) => deliveries.slice(nth - 1, nth)).map((one) => [one.seq, one]));
  return events.flatMap((event) => {
    const delivery = held.get(event.seq);
    return delivery === undefined ? [] : [{ delivery, event }];
  });
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
