import type { EndpointDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";

const AT_ONCE = 5_000;

// As record-deliveries.ts, without ON CONFLICT.
const INSERT = {
  name: "penstock-record-endpoint-deliveries",
  text: `
    INSERT INTO penstock.deliveries
           (day, seq, subscriber, state, changed_at, next_attempt_at, lane, lane_at, skip_reason)
    SELECT day, seq, subscriber, CASE WHEN skip_reason IS NULL THEN 'pending' ELSE 'skipped' END, clock_timestamp(),
           CASE WHEN wakes THEN clock_timestamp() END, lane, lane_at, skip_reason
      FROM unnest($1::date[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::boolean[])
           AS d (day, seq, subscriber, lane, lane_at, skip_reason, wakes)`,
};

/** Writes deliveries to endpoints, a piece at a time; see EngineTransaction.recordEndpointDeliveries. */
export async function recordEndpointDeliveries(
  client: pg.PoolClient,
  deliveries: Iterable<EndpointDelivery>,
): Promise<void> {
  // One of each lane wakes it; the others would be looked at and laid to rest one by one.
  const woken = new Set<string>();
  const wakes = ({ subscriber, lane, skipReason }: EndpointDelivery): boolean => {
    if (skipReason !== null) return false;
    if (lane === null) return true;
    const name = `${subscriber} ${lane.key}`;
    return !woken.has(name) && woken.add(name) !== undefined;
  };
  let piece: EndpointDelivery[] = [];
  const write = async (): Promise<void> => {
    await query(client, INSERT, [
      piece.map(({ event }) => event.day),
      piece.map(({ event }) => event.seq),
      piece.map(({ subscriber }) => subscriber),
      piece.map(({ lane }) => lane?.key ?? null),
      piece.map(({ lane }) => lane?.at ?? null),
      piece.map(({ skipReason }) => skipReason),
      piece.map(wakes),
    ]);
    piece = [];
  };
  for (const delivery of deliveries) {
    if (piece.push(delivery) === AT_ONCE) await write();
  }
  if (piece.length > 0) await write();
}
