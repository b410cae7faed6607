import type { Rehearsal, TableChanges } from "@penstock/engine";
import type pg from "pg";
import { command, query, type Store } from "../connection/create-store.ts";
import type { HandlerRoles } from "../handlers/handler-roles.ts";
import { runBehindSavepoint } from "../handlers/handler-savepoint.ts";
import { readEvent } from "../events/read-events.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";

// Live work may wait for rows that a rehearsal has locked: not for long.
const TIME_OUTS = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s'";

/** Thrown to roll an open transaction back. */
class RolledBack<T> extends Error {
  readonly result: T;

  constructor(result: T) {
    super("a rehearsal keeps nothing");
    this.result = result;
  }
}

/** Runs `fn` in a transaction that is rolled back in any case; see DryRunStore.rehearse. */
export async function rehearse<T>(
  store: Store,
  fn: (tx: Rehearsal) => Promise<T>,
  roles: HandlerRoles = new Map(),
): Promise<T> {
  try {
    return await transaction(store, async (client): Promise<T> => {
      await command(client, TIME_OUTS);
      // Counts of earlier transactions that the server has not collected yet.
      const before = await countChanges(client);
      throw new RolledBack(
        await fn({
          readEvent: (event) => readEvent(client, event),
          savepoint: (schema, work, onStatement) =>
            runBehindSavepoint(client, { schema, role: roles.get(schema) }, work, onStatement),
          changes: async () => subtract(await countChanges(client), before),
        }),
      );
    });
  } catch (error) {
    if (error instanceof RolledBack) return error.result as T;
    throw error;
  }
}

const CHANGES = statement({
  rows: { table: "text", inserted: "int4", updated: "int4", deleted: "int4" },
  text: sql`
    SELECT schemaname || '.' || relname AS table, n_tup_ins::int AS inserted, n_tup_upd::int AS updated,
           n_tup_del::int AS deleted
      FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1`,
});

async function countChanges(client: pg.PoolClient): Promise<TableChanges[]> {
  const { rows } = await query(client, CHANGES);
  return rows;
}

function subtract(now: readonly TableChanges[], before: readonly TableChanges[]): TableChanges[] {
  const earlier = new Map(before.map((row) => [row.table, row]));
  return now
    .map(({ table, inserted, updated, deleted }) => ({
      table,
      inserted: inserted - (earlier.get(table)?.inserted ?? 0),
      updated: updated - (earlier.get(table)?.updated ?? 0),
      deleted: deleted - (earlier.get(table)?.deleted ?? 0),
    }))
    .filter(({ inserted, updated, deleted }) => inserted + updated + deleted > 0);
}
