import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS, type UnpackedEvent } from "../events/batch-format.ts";
import { eraseFromBatch } from "./erase-from-batches.ts";
import { createFinder } from "./wanted.ts";

const ERASED_KEYS = statement({
  name: "penstock-erased-keys",
  rows: { key: "text" },
  text: sql`
    SELECT encode(uuid_send(key), 'hex') AS key FROM penstock.erased_events WHERE key = ANY(${{ keys: "uuid[]" }})`,
});

/**
 * A copy of an event that was erased brings back what it said: it goes from the batch that it came with. `copies` have the keys by
 * which the ledger knows what they are copies of.
 */
export async function eraseLateCopies(client: pg.PoolClient, copies: readonly UnpackedEvent[]): Promise<void> {
  if (copies.length === 0) return;
  const { rows } = await query(client, ERASED_KEYS, { keys: [...new Set(copies.map(({ key }) => key))] });
  if (rows.length === 0) return;
  const keys = new Set(rows.map(({ key }) => key));
  const erased = copies.filter(({ key }) => keys.has(key.replaceAll("-", "")));
  // Nobody knows any more what was erased of it, so that its id goes, too.
  const finder = { ...createFinder([]), isPartOf: () => true };
  for (const [batch, of] of Map.groupBy(erased, ({ seq }) => Math.floor(seq / BATCH_EVENTS))) {
    const keyOf = new Map(of.map(({ seq, key }) => [seq, key]));
    const keyOfErased = ({ seq }: UnpackedEvent): string | null => keyOf.get(seq) ?? null;
    await eraseFromBatch(client, { day: of[0]?.day ?? "", batch, keyOfErased }, finder);
  }
}
