import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

const AT_ONCE = 1_000;

const CANCEL = statement({
  text: sql`
    WITH orphaned AS MATERIALIZED (
      SELECT day, seq, subscriber FROM penstock.deliveries d
       WHERE state IN ('pending', 'retrying') AND starts_with(subscriber, '${ENDPOINT_PREFIX}')
         AND NOT EXISTS (SELECT FROM penstock.handlers h WHERE h.name = d.subscriber)
       LIMIT ${AT_ONCE} FOR UPDATE SKIP LOCKED
    )
    UPDATE penstock.deliveries d SET state = 'cancelled', next_attempt_at = NULL, changed_at = now()
      FROM orphaned o WHERE d.day = o.day AND d.seq = o.seq AND d.subscriber = o.subscriber`,
});

/**
 * Cancels deliveries that wait for deleted endpoints: a batch in flight may record a delivery after its endpoint was deleted.
 * Resolves to how many, a thousand at most.
 */
export async function cancelOrphaned(store: Store): Promise<number> {
  const { rowCount } = await query(store.pool, CANCEL);
  return rowCount ?? 0;
}
