import { query, type Store } from "./create-store.ts";

/** The keys of what an effect handler has done once for an event, in the generation that its delivery is in. */
export async function listEffects(
  store: Store,
  { day, seq, handler }: { readonly day: string; readonly seq: number; readonly handler: string },
): Promise<string[]> {
  const { rows } = await query<{ key: string }>(
    store.pool,
    `SELECT f.key FROM penstock.effects f
       JOIN penstock.deliveries d ON d.day = $1 AND d.seq = f.seq AND d.subscriber = f.subscriber
      WHERE f.seq = $2 AND f.subscriber = $3 AND f.generation = d.generation ORDER BY f.recorded_at, f.key`,
    [day, seq, handler],
  );
  return rows.map(({ key }) => key);
}
