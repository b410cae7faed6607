import { Kysely, PostgresDialect } from "kysely";
import type { Store } from "../connection/create-store.ts";

/**
 * The database for the library that keeps accounts, on the store's own pool: what it runs obeys the same session settings.
 * Not to be destroyed, since the pool is the store's.
 */
export function openAccountsDatabase({ pool }: Store): { db: Kysely<unknown>; type: "postgres"; schemaName: string } {
  return { db: new Kysely({ dialect: new PostgresDialect({ pool }) }), type: "postgres", schemaName: "penstock" };
}
