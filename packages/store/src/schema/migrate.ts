import type { Handler } from "@penstock/handler-sdk";
import { Kysely, PostgresDialect } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { connect, query, type Queryable, type Store } from "../connection/create-store.ts";
import { isConnectionError, MigrationFailedError, toStoreError } from "../connection/errors.ts";
import { type MigrationName, readApplied, refuseEarlier } from "./assert-migrated.ts";
import { ensureHandlerRoles, type HandlerAccess } from "../handlers/handler-roles.ts";
import * as baseline from "./migrations/0001-baseline.ts";
import * as auditLog from "./migrations/0002-audit-log.ts";
import * as accounts from "./migrations/0003-accounts.ts";
import * as issues from "./migrations/0004-issues.ts";
import * as search from "./migrations/0005-search.ts";
import * as sources from "./migrations/0006-sources.ts";
import * as endpointDeliveries from "./migrations/0007-endpoint-deliveries.ts";
import * as eventPage from "./migrations/0008-event-page.ts";
import * as retention from "./migrations/0010-retention.ts";
import * as acknowledgements from "./migrations/0012-acknowledgements.ts";
import * as ledgerKeys from "./migrations/0014-ledger-keys.ts";
import * as archives from "./migrations/0015-archives.ts";
import * as erasures from "./migrations/0016-erasures.ts";
import * as silence from "./migrations/0017-silence.ts";
import * as adminAddress from "./migrations/0018-admin-address.ts";
import * as endpointErrors from "./migrations/0019-endpoint-errors.ts";
import { ensurePartitions } from "./partitions.ts";
import { sql, statement } from "../connection/sql.ts";

/** Penstock's migrations. Forward only: acknowledged data is never migrated away. */
const MIGRATIONS: Readonly<Record<MigrationName, Migration>> = {
  "0001-baseline": { up: baseline.up },
  "0002-audit-log": { up: auditLog.up },
  "0003-accounts": { up: accounts.up },
  "0004-issues": { up: issues.up },
  "0005-search": { up: search.up },
  "0006-sources": { up: sources.up },
  "0007-endpoint-deliveries": { up: endpointDeliveries.up },
  "0008-event-page": { up: eventPage.up },
  "0010-retention": { up: retention.up },
  "0012-acknowledgements": { up: acknowledgements.up },
  "0014-ledger-keys": { up: ledgerKeys.up },
  "0015-archives": { up: archives.up },
  "0016-erasures": { up: erasures.up },
  "0017-silence": { up: silence.up },
  "0018-admin-address": { up: adminAddress.up },
  "0019-endpoint-errors": { up: endpointErrors.up },
};

const OWN = { schema: "penstock", migrations: MIGRATIONS };

type Migrated = Pick<Handler, "schema" | "migrations"> & { readonly kind?: Handler["kind"] } & Partial<HandlerAccess>;

/** The oldest major version of Postgres that works. */
export const MINIMUM_POSTGRES = 15;

/**
 * Brings the database up to date: Penstock's schema and its partitions, then each handler's own schema, then the handlers' roles.
 * Safe to run from several processes at once: one works, the others wait and find nothing to do. Resolves to what was applied,
 * as `schema/name`.
 *
 * @throws MigrationFailedError
 * @throws HandlerAccessError when a handler cannot be given what it declares to read or write.
 */
export async function migrate(store: Store, handlers: readonly Migrated[] = []): Promise<string[]> {
  await assertUsable(store.pool, "DATABASE_URL");
  const applied: string[] = [];
  for (const owner of [OWN, ...handlers]) {
    if (owner !== OWN && Object.keys(owner.migrations).length === 0) continue;
    applied.push(...(await migrateSchema(store, owner)));
    if (owner === OWN) await ensurePartitions(store);
  }
  await ensureHandlerRoles(
    store,
    handlers
      .filter(hasTransactions)
      .map(({ schema, name = schema, reads = [], writes = [] }) => ({ name, schema, reads, writes })),
  );
  return applied;
}

/** True for a handler that runs statements. An effect handler does when its migrations make a schema. */
export function hasTransactions({ kind, migrations }: Pick<Migrated, "kind" | "migrations">): boolean {
  return kind === "transactional" || (kind === "effect" && Object.keys(migrations).length > 0);
}

async function migrateSchema(store: Store, { schema, migrations }: Migrated): Promise<string[]> {
  // A connection of its own, whose search_path is the schema, so that migrations name their tables plainly.
  const client = await connect(store);
  const dialect = new PostgresDialect({
    pool: {
      options: store.pool.options,
      connect: () =>
        Promise.resolve(
          new Proxy(client, {
            get: (target, name) => (name === "release" ? () => undefined : (Reflect.get(target, name) as unknown)),
          }),
        ),
      end: () => Promise.resolve(),
    },
  });
  const db = new Kysely<unknown>({ dialect });
  try {
    // A migration may rewrite a large table, and may wait for another process that migrates.
    await client.query("SET statement_timeout = 0");
    await client.query("SET lock_timeout = '60s'");
    await client.query("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'");
    await client.query(`SET search_path TO "${schema}", public`);
    const migrator = new Migrator({
      db,
      provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
      migrationTableSchema: schema,
    });
    if (schema === OWN.schema) refuseEarlier(await readApplied(client, schema));
    const { error, results = [] } = await migrator.migrateToLatest();
    const failed = results.find(({ status }) => status === "Error");
    if (error !== undefined) {
      if (error instanceof Error && isConnectionError(error)) throw error;
      const where = failed ? ` in migration ${schema}/${failed.migrationName}` : "";
      const message = error instanceof Error ? error.message : JSON.stringify(error);
      throw new MigrationFailedError(`migrating schema ${schema} failed${where}: ${message}`, { cause: error });
    }
    return results.map(({ migrationName }) => `${schema}/${migrationName}`);
  } catch (error) {
    throw toStoreError(error);
  } finally {
    client.release(true); // its session settings have changed
  }
}

const SERVER = statement({
  rows: { version: "int4", name: "name", encoding: "text" },
  text: sql`
    SELECT current_setting('server_version_num')::int / 10000 AS version, current_database() AS name,
           current_setting('server_encoding') AS encoding`,
});

/**
 * Checks that a database can hold Penstock's tables, before any is made. `variable` is the variable with its URL.
 *
 * @throws MigrationFailedError
 */
export async function assertUsable(db: Queryable, variable: "DATABASE_URL" | "QUEUE_URL"): Promise<void> {
  const { rows } = await query(db, SERVER);
  const { version = 0, name = "", encoding = "" } = rows[0] ?? {};
  if (version < MINIMUM_POSTGRES) {
    throw new MigrationFailedError(`Postgres ${version} is too old: Penstock needs ${MINIMUM_POSTGRES} or later`);
  }
  if (encoding !== "UTF8") {
    throw new MigrationFailedError(
      `database ${name} has the encoding ${encoding}, which cannot hold every text: make one by CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and set ${variable} to it`,
    );
  }
}
