import type { Handler } from "@penstock/handler-sdk";
import { command, query, type Queryable, type Store } from "../connection/create-store.ts";
import { MigrationFailedError, MigrationsPendingError } from "../connection/errors.ts";
import { sql, statement } from "../connection/sql.ts";

/** Penstock's migrations by name, in order. In a file without Kysely: ingest only checks whether they were applied. */
const MIGRATIONS = [
  "0001-baseline",
  "0002-audit-log",
  "0003-accounts",
  "0004-issues",
  "0005-search",
  "0006-sources",
  "0007-endpoint-deliveries",
  "0008-event-page",
  "0010-retention",
  "0012-acknowledgements",
  "0014-ledger-keys",
  "0015-archives",
  "0016-erasures",
  "0017-silence",
  "0018-admin-address",
  "0019-endpoint-errors",
] as const;

export type MigrationName = (typeof MIGRATIONS)[number];

const OWN = { schema: "penstock", migrations: Object.fromEntries(MIGRATIONS.map((name) => [name, null])) };

/**
 * Refuses a database whose tables were made by commits before the first release: these cannot be migrated.
 *
 * @throws MigrationFailedError
 */
export function refuseEarlier(applied: readonly string[]): void {
  if (!applied.includes("0001-events")) return;
  throw new MigrationFailedError(
    "this database was made by an earlier version of Penstock, whose tables cannot be taken over: set DATABASE_URL to a new database, or DROP SCHEMA penstock CASCADE, which forgets its events, and run `penstock migrate`",
  );
}

const EXISTS = statement({
  rows: { exists: "bool" },
  text: sql`SELECT to_regclass(${{ table: "text" }}) IS NOT NULL AS exists`,
});

/** The names of the migrations that were applied to a schema. */
export async function readApplied(db: Queryable, schema: string): Promise<string[]> {
  const table = `${schema}.kysely_migration`;
  const { rows } = await query(db, EXISTS, { table });
  if (!rows[0]?.exists) return [];
  const applied = await command<{ name: string }>(db, `SELECT name FROM "${schema}".kysely_migration`);
  return applied.rows.map(({ name }) => name);
}

/**
 * Checks that the database is up to date, without changing it.
 *
 * @throws MigrationFailedError when the database cannot be brought up to date.
 * @throws MigrationsPendingError naming what is missing and the command that applies it.
 */
export async function assertMigrated(
  store: Store,
  handlers: readonly Pick<Handler, "schema" | "migrations">[] = [],
): Promise<void> {
  const pending: string[] = [];
  for (const owner of [OWN, ...handlers]) {
    const names = Object.keys(owner.migrations).toSorted();
    if (names.length === 0) continue;
    const done = await readApplied(store.pool, owner.schema);
    if (owner === OWN) refuseEarlier(done);
    const missing = names.filter((name) => !done.includes(name));
    pending.push(...missing.map((name) => `${owner.schema}/${name}`));
  }
  if (pending.length > 0) {
    throw new MigrationsPendingError(
      `the database is behind by ${pending.length} migration(s): ${pending.join(", ")}. Run \`penstock migrate\` first.`,
    );
  }
}
