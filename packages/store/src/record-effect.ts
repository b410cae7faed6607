import type { ClaimedDelivery } from "@penstock/engine";
import { query, type Store } from "./create-store.ts";

// The delivery is locked: its lease must not be taken between the look at the token and the record. A record that is
// there already is this attempt's own, whose answer got lost.
const RECORD = {
  name: "penstock-record-effect",
  text: `
    WITH held AS (
      SELECT seq, subscriber, generation FROM penstock.deliveries
       WHERE day = $1 AND seq = $2 AND subscriber = $3 AND token = $4 AND state = 'running' FOR SHARE
    ), recorded AS (
      INSERT INTO penstock.effects (seq, subscriber, generation, key, result)
      SELECT seq, subscriber, generation, $5, $6 FROM held ON CONFLICT DO NOTHING
    )
    SELECT FROM held`,
};

/** Records what was done once for a delivery; see EngineStore.recordEffect. */
export async function recordEffect(
  store: Store,
  { day, seq, subscriber, token }: ClaimedDelivery,
  key: string,
  json: string,
): Promise<boolean> {
  const { rowCount } = await query(store.pool, RECORD, [day, seq, subscriber, token, key, json]);
  return rowCount === 1;
}
