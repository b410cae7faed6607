import type pg from "pg";
import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";

const LOCK = statement({
  rows: { mine: "bool" },
  text: sql`SELECT pg_try_advisory_xact_lock(hashtext('penstock.issues')) AS mine`,
});

/** Runs `work` in a transaction, in one worker at a time; where another is at it, not at all, and null. */
export async function alone<T>(store: Store, work: (client: pg.PoolClient) => Promise<T>): Promise<T | null> {
  return transaction(store, async (client) => {
    const [row] = (await query(client, LOCK)).rows;
    return row?.mine === true ? work(client) : null;
  });
}
