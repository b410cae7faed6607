import { query, type Store } from "./create-store.ts";
import type { EventPointer } from "./find-events.ts";

/**
 * Marks an event in quarantine as dealt with: it is kept, and nobody is shown it as one to look after. False when it is not in
 * quarantine, or has been dismissed before.
 */
export async function dismissQuarantined(store: Store, { day, seq }: EventPointer): Promise<boolean> {
  const { rowCount } = await query(
    store.pool,
    "UPDATE penstock.quarantine SET dismissed_at = now() WHERE day = $1 AND seq = $2 AND dismissed_at IS NULL",
    [day, seq],
  );
  return rowCount === 1;
}
