import type { NewEvent } from "@penstock/intake";
import { toStorableText } from "@penstock/schemas";
import { keyOfId } from "@penstock/sources";
import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { insertBatch } from "../events/insert-batch.ts";
import { recordAudit } from "../operators/audit-log.ts";

const KNOWN = statement({
  rows: { key: "text" },
  text: sql`
    SELECT encode(uuid_send(key), 'hex') AS key FROM penstock.event_keys WHERE key = ANY(${{ keys: "uuid[]" }})`,
});

// What waits is in no ledger yet.
const WAITING = statement({
  rows: { id: "text?" },
  text: sql`
    SELECT DISTINCT e.event_id AS id
      FROM penstock.pending p,
           LATERAL (SELECT ROW(day, batch, received_at, events, meta, ''::bytea, NULL)::penstock.batches AS b
                      FROM penstock.batches WHERE day = p.day AND batch = p.batch LIMIT 1) AS b,
           LATERAL penstock.events_of(b.b) AS e
     WHERE e.source = ${{ source: "text" }} AND e.event_id = ANY(${{ ids: "text[]" }})`,
});

/** Those of these ids that a source's events never came with, as far as the ledger goes back: neither processed nor waiting. */
export async function findMissed(store: Store, source: string, ids: readonly string[]): Promise<Set<string>> {
  const keys = new Map(ids.map((id) => [keyOfId(source, id), id]));
  // Before the ledger: what a worker processes in between stands in one of the two.
  const waiting = (await query(store.pool, WAITING, { source, ids: ids.map(toStorableText) })).rows;
  const known = (await query(store.pool, KNOWN, { keys: [...keys.keys()] })).rows;
  const missed = new Set(ids);
  for (const { key } of known) missed.delete(keys.get(key) ?? "");
  for (const { id } of waiting) missed.delete(id ?? "");
  return missed;
}

/** Stores events that were fetched from their provider as one batch, in the name of an operator, and resolves to its number. */
export async function commitFetched(
  store: Store,
  source: string,
  events: readonly NewEvent[],
  actor: string,
): Promise<number> {
  return transaction(store, async (client) => {
    const batch = await insertBatch(client, events);
    await recordAudit(client, {
      actor,
      action: "sources.reconcile",
      target: source,
      detail: { events: events.length, ids: events.slice(0, 20).map(({ eventId }) => eventId) },
    });
    return batch;
  });
}
