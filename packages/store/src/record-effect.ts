import type { ClaimedDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";

// The delivery is locked: its lease must not be taken between the look at the token and the record.
const RECORD = {
  name: "penstock-record-effect",
  text: `
    WITH held AS (
      SELECT seq, subscriber, generation FROM penstock.deliveries
       WHERE day = $1 AND seq = $2 AND subscriber = $3 AND token = $4 AND state = 'running' FOR SHARE
    ), recorded AS (
      INSERT INTO penstock.effects (seq, subscriber, generation, key, result)
      SELECT seq, subscriber, generation, $5, $6 FROM held ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT EXISTS (SELECT FROM recorded) AS recorded FROM held`,
};

/**
 * Records what was done once for a delivery; `lost` when the token no longer matches, and nothing was recorded. A record
 * that is `there` already is this attempt's own, whose answer got lost.
 */
export async function recordEffect(
  client: pg.Pool | pg.PoolClient,
  { day, seq, subscriber, token }: ClaimedDelivery,
  key: string,
  json: string,
): Promise<"recorded" | "there" | "lost"> {
  const { rows } = await query<{ recorded: boolean }>(client, RECORD, [day, seq, subscriber, token, key, json]);
  if (rows[0] === undefined) return "lost";
  return rows[0].recorded ? "recorded" : "there";
}

/** What is recorded of a delivery under a key; see EngineTransaction.findEffect. */
export async function findEffect(
  client: pg.PoolClient,
  { seq, subscriber, generation }: ClaimedDelivery,
  key: string,
): Promise<string | null> {
  const { rows } = await query<{ result: string }>(
    client,
    "SELECT result::text FROM penstock.effects WHERE seq = $1 AND subscriber = $2 AND generation = $3 AND key = $4",
    [seq, subscriber, generation, key],
  );
  return rows[0]?.result ?? null;
}
