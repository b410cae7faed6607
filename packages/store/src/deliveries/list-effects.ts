import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

const LIST = statement({
  rows: { key: "text" },
  text: sql`
    SELECT f.key FROM penstock.effects f
      JOIN penstock.deliveries d ON d.day = f.day AND d.seq = f.seq AND d.subscriber = f.subscriber
     WHERE f.day = ${{ day: "date" }} AND f.seq = ${{ seq: "int8" }} AND f.subscriber = ${{ handler: "text" }} AND f.generation = d.generation
     ORDER BY f.recorded_at, f.key`,
});

/** The keys of the effects that are recorded for an event and an effect handler, in the delivery's generation. */
export async function listEffects(
  store: Store,
  { day, seq, handler }: { readonly day: string; readonly seq: number; readonly handler: string },
): Promise<string[]> {
  const { rows } = await query(store.pool, LIST, { day, seq, handler });
  return rows.map(({ key }) => key);
}
