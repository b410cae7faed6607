import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { UNTIL_NOW } from "./wake-lanes.ts";

const IS_DUE = `subscriber = h.name AND state IN ('pending', 'retrying') AND next_attempt_at <= now() AND ${UNTIL_NOW}`;

// OFFSET 0: without it, Postgres may read everything that waits.
const FIND = statement({
  name: "penstock-find-due-handlers",
  rows: { name: "text" },
  text: sql`
    SELECT h.name
      FROM unnest(${{ among: "text[]" }}) AS w (name), LATERAL (SELECT name FROM penstock.handlers h
             WHERE h.name = w.name AND h.paused_at IS NULL OFFSET 0) AS h
     WHERE EXISTS (SELECT FROM penstock.deliveries WHERE ${IS_DUE} AND lane IS NULL OFFSET 0)
        OR EXISTS (SELECT FROM penstock.deliveries WHERE ${IS_DUE} AND lane IS NOT NULL OFFSET 0)`,
});

/** Those of the given handlers that are not paused and have due deliveries. Takes no locks. */
export async function findDueHandlers(store: Store, among: readonly string[]): Promise<string[]> {
  const { rows } = await query(store.pool, FIND, { among });
  return rows.map(({ name }) => name);
}
