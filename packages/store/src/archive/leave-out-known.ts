import type { NewEvent } from "@penstock/intake";
import type { Store } from "../connection/create-store.ts";
import { isSameBody, packBatch, toConflict, unpackBatch } from "../events/batch-format.ts";
import { readHashes } from "../events/record-events.ts";

/**
 * Those of these events that the ledger does not know, 1,024 at most. What waits for a worker is not in the ledger yet: the worker
 * leaves a copy of it out.
 */
export async function leaveOutKnown(store: Store, events: readonly NewEvent[]): Promise<NewEvent[]> {
  const { meta, bodies } = packBatch(events);
  const unpacked = unpackBatch({ batch: "0", day: "", received_us: "0", meta, bodies });
  const conflicts = unpacked.map((event) => toConflict(event).key);
  const known = await readHashes(store.pool, [...new Set([...unpacked.map(({ key }) => key), ...conflicts])]);
  return events.filter((_, place) => {
    const { key = "", bodyHash = "" } = unpacked[place] ?? {};
    // Another body under a known id is an event of its own, under another key.
    return !isSameBody(known.get(key), bodyHash) && !known.has(conflicts[place] ?? "");
  });
}
