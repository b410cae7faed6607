import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { type ShownArrival, unpackArrival } from "./arrivals.ts";
import { BATCH_EVENTS } from "./batch-format.ts";
import type { EventPointer } from "./find-events.ts";

const READ = statement({
  rows: { arrivals: "text?" },
  text: sql`SELECT arrivals FROM penstock.batches WHERE day = ${{ day: "date" }} AND batch = ${{ batch: "int8" }}`,
});

/** How the request of an event came; null where nothing is kept of it, or the event was made here. */
export async function readArrival(store: Store, { day, seq }: EventPointer): Promise<ShownArrival | null> {
  const { rows } = await query(store.pool, READ, { day, batch: Math.floor(seq / BATCH_EVENTS) });
  return unpackArrival(rows[0]?.arrivals ?? null, seq % BATCH_EVENTS);
}
