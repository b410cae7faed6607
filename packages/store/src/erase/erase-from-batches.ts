import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { eraseArrivals } from "../events/arrivals.ts";
import { type BatchRow, type EventMeta, type UnpackedEvent, unpackBatch } from "../events/batch-format.ts";
import type { Finder } from "./wanted.ts";

/** A batch, and which of its events are to be erased. */
export interface BatchPlaces {
  readonly day: string;
  readonly batch: number;
  /** The key by which the ledger knows an event that is to be erased; null: it is not. */
  readonly keyOfErased: (event: UnpackedEvent) => string | null;
}

// For update: two erasures may be about events of one batch.
const READ = statement({
  rows: { batch: "text", day: "text", received_us: "text", meta: "text", bodies: "bytea", arrivals: "text?" },
  text: sql`
    SELECT batch::text, day::text, (extract(epoch FROM received_at) * 1000000)::int8::text AS received_us,
           meta, bodies, arrivals
      FROM penstock.batches WHERE day = ${{ day: "date" }} AND batch = ${{ batch: "int8" }} FOR UPDATE`,
});

const WRITE = statement({
  text: sql`
    UPDATE penstock.batches SET meta = ${{ meta: "text" }}, bodies = ${{ bodies: "bytea" }}, arrivals = ${{ arrivals: "text?" }}
     WHERE day = ${{ day: "date" }} AND batch = ${{ batch: "int8" }}`,
});

/** The key of each event that is erased, by its place. */
export type ErasedKeys = ReadonlyMap<number, string>;

/**
 * Overwrites events of a batch: bodies by blanks, so that those of others stay where they are, and of the metadata all that says whom
 * they were about. Copies that others have kept there go, too: they have no row of their own.
 */
export async function eraseFromBatch(
  client: pg.PoolClient,
  { day, batch, keyOfErased }: BatchPlaces,
  finder: Finder,
): Promise<ErasedKeys> {
  const [row] = (await query(client, READ, { day, batch })).rows;
  if (row === undefined) return new Map();
  const keys = new Map<number, string>();
  const bodies = Buffer.from(row.bodies);
  unpackBatch(row satisfies BatchRow).forEach((event, place) => {
    const key = event.problem === "erased" ? null : keyOfErased(event);
    if (key === null) return;
    const { body, bodyAt } = event;
    keys.set(place, key);
    bodies.fill(0x20, bodyAt, bodyAt + body.length);
  });
  if (keys.size === 0) return keys;
  const meta = (JSON.parse(row.meta) as EventMeta[]).map((one, place) => {
    if (!keys.has(place)) return one;
    const { id, subjects: _, problem: __, ...rest } = one;
    // Without its id, its key would be made of a body that is gone.
    const kept = id !== undefined && !finder.isPartOf(id) ? { id } : { key: keys.get(place) };
    return { ...rest, ...kept, problem: "erased" };
  });
  const arrivals = eraseArrivals(row.arrivals, new Set(keys.keys()), finder.takeOut);
  await query(client, WRITE, { day, batch, meta: JSON.stringify(meta), bodies, arrivals });
  return keys;
}
