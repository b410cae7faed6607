import type { ClaimedDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

// The delivery is locked: no other worker may claim it between the comparison of the token and the record.
const RECORD = statement({
  name: "penstock-record-effect",
  rows: { recorded: "bool" },
  text: sql`
    WITH held AS (
      SELECT day, seq, subscriber, generation FROM penstock.deliveries
       WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }} AND subscriber = ${{ subscriber: "text" }}
         AND token = ${{ token: "uuid" }} AND state = 'running' FOR SHARE
    ), recorded AS (
      INSERT INTO penstock.effects (day, seq, subscriber, generation, key, result)
      SELECT day, seq, subscriber, generation, ${{ key: "text", json: "json" }} FROM held ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT EXISTS (SELECT FROM recorded) AS recorded FROM held`,
});

/**
 * Records an effect of a delivery. `lost`: the token no longer matches, and nothing was recorded. `there`: this attempt has recorded
 * the effect before, and the answer got lost.
 */
export async function recordEffect(
  client: pg.Pool | pg.PoolClient,
  { day, seq, subscriber, token }: ClaimedDelivery,
  key: string,
  json: string,
): Promise<"recorded" | "there" | "lost"> {
  const { rows } = await query(client, RECORD, { day, seq, subscriber, token, key, json });
  if (rows[0] === undefined) return "lost";
  return rows[0].recorded ? "recorded" : "there";
}

const FIND = statement({
  rows: { result: "text" },
  text: sql`
    SELECT result::text FROM penstock.effects
     WHERE day = ${{ day: "date" }} AND seq = ${{ seq: "int8" }} AND subscriber = ${{ subscriber: "text" }}
       AND generation = ${{ generation: "int2" }} AND key = ${{ key: "text" }}`,
});

/** The recorded result of an effect; see EngineTransaction.findEffect. */
export async function findEffect(
  client: pg.PoolClient,
  { day, seq, subscriber, generation }: ClaimedDelivery,
  key: string,
): Promise<string | null> {
  const { rows } = await query(client, FIND, { day, seq, subscriber, generation, key });
  return rows[0]?.result ?? null;
}
