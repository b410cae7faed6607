import type { Handler } from "@penstock/handler-sdk";
import { query, type Store } from "./create-store.ts";
import { MigrationsPendingError } from "./errors.ts";

/** Our migrations, in order. Apart from what they do, which brings Kysely: ingest only asks whether they were applied. */
const MIGRATIONS = [
  "0001-events",
  "0002-deliveries",
  "0003-attempt-traces",
  "0004-interrupted-deliveries",
  "0005-operators",
  "0006-effects",
  "0007-lanes",
  "0008-replays",
  "0009-handler-roles",
  "0010-delivery-history",
  "0011-endpoints",
  "0012-asked-headers",
  "0013-handler-types",
] as const;

export type MigrationName = (typeof MIGRATIONS)[number];

const OWN = { schema: "penstock", migrations: Object.fromEntries(MIGRATIONS.map((name) => [name, null])) };

/**
 * Checks that the database is up to date, without changing it.
 *
 * @throws MigrationsPendingError naming what is missing and the command that applies it.
 */
export async function assertMigrated(
  store: Store,
  handlers: readonly Pick<Handler, "schema" | "migrations">[] = [],
): Promise<void> {
  const pending: string[] = [];
  for (const owner of [OWN, ...handlers]) {
    const { rows } = await query<{ exists: boolean }>(store.pool, "SELECT to_regclass($1) IS NOT NULL AS exists", [
      `${owner.schema}.kysely_migration`,
    ]);
    const names = Object.keys(owner.migrations).toSorted();
    if (names.length === 0) continue;
    const done = rows[0]?.exists
      ? await query<{ name: string }>(store.pool, `SELECT name FROM "${owner.schema}".kysely_migration`)
      : { rows: [] };
    const missing = names.filter((name) => !done.rows.some((row) => row.name === name));
    pending.push(...missing.map((name) => `${owner.schema}/${name}`));
  }
  if (pending.length > 0) {
    throw new MigrationsPendingError(
      `the database is behind by ${pending.length} migration(s): ${pending.join(", ")}. Run \`penstock migrate\` first.`,
    );
  }
}
