import type { ClaimedDelivery, LockedDelivery } from "@penstock/engine";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { readEvents } from "../events/read-events.ts";
import { sql, statement } from "../connection/sql.ts";

// Row by row by key: see claim-batches.ts.
const LOCK = statement({
  name: "penstock-lock-deliveries",
  rows: { nth: "int4" },
  text: sql`
    SELECT r.nth::int
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", tokens: "uuid[]" }}) WITH ORDINALITY
             AS r (day, seq, subscriber, token, nth),
           LATERAL (SELECT FROM penstock.deliveries d
                     WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
                       AND d.state = 'running' LIMIT 1 FOR UPDATE) AS d`,
});

/** Locks running deliveries and reads their events; see EngineTransaction.lockDeliveries. */
export async function lockDeliveries(
  client: pg.PoolClient,
  deliveries: readonly ClaimedDelivery[],
  maxBytes: number,
): Promise<LockedDelivery[]> {
  const [{ rows }, events] = await Promise.all([
    query(client, LOCK, {
      days: deliveries.map(({ day }) => day),
      seqs: deliveries.map(({ seq }) => seq),
      subscribers: deliveries.map(({ subscriber }) => subscriber),
      tokens: deliveries.map(({ token }) => token),
    }),
    readEvents(client, deliveries, maxBytes),
  ]);
  const held = new Map(rows.flatMap(({ nth }) => deliveries.slice(nth - 1, nth)).map((one) => [one.seq, one]));
  return events.flatMap((event) => {
    const delivery = held.get(event.seq);
    return delivery === undefined ? [] : [{ delivery, event }];
  });
}
