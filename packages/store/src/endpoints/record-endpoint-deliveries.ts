import type { EndpointDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

const AT_ONCE = 5_000;

// Without ON CONFLICT: see record-deliveries.ts.
const INSERT = statement({
  name: "penstock-record-endpoint-deliveries",
  text: sql`
    INSERT INTO penstock.deliveries
           (day, seq, subscriber, state, changed_at, next_attempt_at, lane, lane_at, skip_reason)
    SELECT day, seq, subscriber, CASE WHEN skip_reason IS NULL THEN 'pending' ELSE 'skipped' END, clock_timestamp(),
           CASE WHEN wakes THEN clock_timestamp() END, lane, lane_at, skip_reason
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", lanes: "text[]", lanesAt: "timestamptz[]" }},
                  ${{ skipReasons: "text[]", wakes: "bool[]" }})
           AS d (day, seq, subscriber, lane, lane_at, skip_reason, wakes)`,
});

/** Writes deliveries to endpoints, a piece at a time; see EngineTransaction.recordEndpointDeliveries. */
export async function recordEndpointDeliveries(
  client: pg.PoolClient,
  deliveries: Iterable<EndpointDelivery>,
): Promise<void> {
  // One delivery wakes its lane; a claim would have to clear further wake-ups one by one.
  const woken = new Set<string>();
  const wakes = ({ subscriber, lane, skipReason }: EndpointDelivery): boolean => {
    if (skipReason !== null) return false;
    if (lane === null) return true;
    const name = `${subscriber} ${lane.key}`;
    return !woken.has(name) && woken.add(name) !== undefined;
  };
  let piece: EndpointDelivery[] = [];
  const write = async (): Promise<void> => {
    await query(client, INSERT, {
      days: piece.map(({ event }) => event.day),
      seqs: piece.map(({ event }) => event.seq),
      subscribers: piece.map(({ subscriber }) => subscriber),
      lanes: piece.map(({ lane }) => lane?.key),
      lanesAt: piece.map(({ lane }) => lane?.at),
      skipReasons: piece.map(({ skipReason }) => skipReason),
      wakes: piece.map(wakes),
    });
    piece = [];
  };
  for (const delivery of deliveries) {
    if (piece.push(delivery) === AT_ONCE) await write();
  }
  if (piece.length > 0) await write();
}
