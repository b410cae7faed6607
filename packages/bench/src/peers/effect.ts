// What every peer does with an event, the same as Penstock's handler: a mark in a ledger, so that it happens once, and a
// row. Statements are sent as their manuals show it, without names.
import type { ClientBase } from "pg";

/** The part of an event that ends up in a row. */
export interface Event {
  readonly id: string;
  readonly data: { readonly contactId: string };
}

/** One event in a transaction of its own. */
export async function applyOne(client: ClientBase, event: Event): Promise<void> {
  await client.query("BEGIN");
  try {
    const mark = await client.query("INSERT INTO bench.ledger (event_id) VALUES ($1) ON CONFLICT DO NOTHING", [
      event.id,
    ]);
    if (mark.rowCount === 1) {
      await client.query("INSERT INTO bench.effects (event_id, contact_id) VALUES ($1, $2)", [
        event.id,
        event.data.contactId,
      ]);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

/** Many events in one statement. */
export const APPLY_MANY = `
  WITH given AS (SELECT * FROM unnest($1::text[], $2::text[]) AS g (event_id, contact_id)),
       fresh AS (INSERT INTO bench.ledger (event_id) SELECT event_id FROM given ON CONFLICT DO NOTHING RETURNING event_id)
  INSERT INTO bench.effects (event_id, contact_id) SELECT event_id, contact_id FROM given JOIN fresh USING (event_id)`;

export function valuesOf(events: readonly Event[]): [string[], string[]] {
  return [events.map(({ id }) => id), events.map(({ data }) => data.contactId)];
}
