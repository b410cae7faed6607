import { randomBytes } from "node:crypto";
import { dropRoles } from "./drop-roles.ts";
import type { ProvidedPostgres } from "./provided-server.ts";
import { withClient } from "./with-client.ts";

/** Brings the empty database behind a connection string to the state that tests start from, and closes its connections. */
export type Migrate = (url: string) => Promise<void>;

/** What a database starts as; empty unless `migrate` is given. */
export interface DatabaseOptions {
  /** Name of what `migrate` makes: the first to ask migrates, all others of the run get copies. */
  readonly template?: string;
  readonly migrate?: Migrate;
  /** Of an empty database; UTF8 unless given. */
  readonly encoding?: string;
}

/** Makes a database: empty, migrated, or a copy of a template that is migrated once per run. Returns its name and address. */
export async function createDatabase(
  server: ProvidedPostgres,
  { template, migrate, encoding }: DatabaseOptions = {},
): Promise<{ name: string; url: string }> {
  const origin = template !== undefined && migrate ? await ensureTemplate(server, template, migrate) : "template1";
  const name = `test_${server.runId}_${randomBytes(4).toString("hex")}`;
  await withClient(server.url, async (client) => {
    const { rows } = await client.query<{ fsync: string }>("SHOW fsync");
    // FILE_COPY waits for two checkpoints of everything that runs beside, which take long where they reach the disk.
    const strategy = rows[0]?.fsync === "off" ? "file_copy" : "wal_log";
    const origins = encoding === undefined ? origin : `template0 ENCODING '${encoding}' LOCALE 'C'`;
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${origins} STRATEGY ${strategy}`);
  });
  const url = databaseUrl(server, name);
  if (template === undefined && migrate) await migrate(url);
  return { name, url };
}

/** Drops a database with all connections to it, and the roles that migrations have made for it. */
export async function dropDatabase(server: ProvidedPostgres, name: string): Promise<void> {
  await withClient(server.url, async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await dropRoles(client, `${name.replaceAll("_", "\\_")}\\_%`);
  });
}

/**
 * The name of a database that `migrate` has been run on, once per test run whoever asks first; for CREATE DATABASE … TEMPLATE.
 *
 * Others wait meanwhile, by an advisory lock. A migration that failed leaves nothing behind and is tried again by the next.
 */
export async function ensureTemplate(server: ProvidedPostgres, name: string, migrate: Migrate): Promise<string> {
  if (!/^[a-z0-9_]{1,30}$/.test(name)) throw new Error(`A template's name is of a-z, 0-9 and _: ${name}`);
  const template = `template_${server.runId}_${name}`;
  const unfinished = `unfinished_${server.runId}_${name}`;
  await withClient(server.url, async (client) => {
    // Held by the connection, so a killed worker's lock goes away with it.
    await client.query("SELECT pg_advisory_lock(hashtextextended($1, 0))", [template]);
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [template]);
    if (rowCount) return;
    await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${unfinished}`);
    await migrate(databaseUrl(server, unfinished));
    // One that somebody is connected to cannot be copied.
    await client.query(`ALTER DATABASE ${unfinished} ALLOW_CONNECTIONS false`);
    await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [unfinished]);
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${template}`);
  });
  return template;
}

function databaseUrl(server: ProvidedPostgres, name: string): string {
  // Not by URL, which takes no user without a host, as the address of a socket has it.
  return server.url.replace(/^([a-z]+:\/\/[^/?#]*)[^?#]*/, `$1/${name}`);
}
