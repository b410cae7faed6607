import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { wantsType } from "../replay/replayed-subscribers.ts";

const OF_TYPE = statement({
  rows: { name: "text", kind: "text" },
  text: sql`
    SELECT name, kind FROM penstock.handlers h WHERE ${wantsType(sql`${{ type: "text" }}`, "h")} ORDER BY kind, name LIMIT 1000`,
});

/** The handlers and endpoints that get a new event of a type; an endpoint's filter may still leave the event out. */
export async function listSubscribers(
  store: Store,
  type: string,
): Promise<{ readonly name: string; readonly kind: string }[]> {
  return (await query(store.pool, OF_TYPE, { type })).rows;
}
