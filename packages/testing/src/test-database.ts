import { randomBytes } from "node:crypto";
import { atFileEnd } from "./file-end.ts";
import { provided } from "./provided.ts";
import { withClient } from "./with-client.ts";

/** Brings the empty database behind a connection string to the state that tests start from, and closes its connections. */
export type Migrate = (url: string) => Promise<void>;

/** What a test database starts as; empty unless `migrate` is given. */
export interface TestDatabaseOptions {
  /** Name of what `migrate` makes: the first file to ask migrates, all others of the run get copies. */
  template?: string;
  migrate?: Migrate;
}

/** A database of a test file's own. */
export interface TestDatabase {
  url: string;
  /** Drops it with all connections to it; done by itself at the end of the test file. */
  drop(): Promise<void>;
}

/**
 * Makes a database of its own for a test file: empty, migrated, or a copy of a template that is migrated once per run.
 *
 * @example
 * const database = await createTestDatabase({ template: "store", migrate: (url) => migrateStore(url) });
 */
export async function createTestDatabase({ template, migrate }: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const origin = template !== undefined && migrate ? await ensureTemplate(template, migrate) : "template1";
  const name = `test_${runId()}_${randomBytes(4).toString("hex")}`;
  // Through the log: some 10 MB. FILE_COPY would wait for two checkpoints of everything that runs beside.
  await withClient(adminUrl(), (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${origin} STRATEGY wal_log`));
  // All at once at the end: each waits for a checkpoint, and those that wait together share one.
  if (toDrop.length === 0) atFileEnd(() => Promise.all(toDrop.splice(0).map(drop)));
  toDrop.push(name);
  const url = databaseUrl(name);
  if (template === undefined && migrate) await migrate(url);
  return { url, drop: async () => void (await drop(name)) };
}

const toDrop: string[] = [];

function drop(name: string): Promise<unknown> {
  return withClient(adminUrl(), (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
}

/**
 * The name of a database that `migrate` has been run on, once per test run whoever asks first; for CREATE DATABASE … TEMPLATE.
 *
 * Others wait meanwhile, by an advisory lock. A migration that failed leaves nothing behind and is tried again by the next.
 */
export async function ensureTemplate(name: string, migrate: Migrate): Promise<string> {
  if (!/^[a-z0-9_]{1,30}$/.test(name)) throw new Error(`A template's name is of a-z, 0-9 and _: ${name}`);
  const template = `template_${runId()}_${name}`;
  const unfinished = `unfinished_${runId()}_${name}`;
  await withClient(adminUrl(), async (client) => {
    // Held by the connection, so a killed worker's lock goes away with it.
    await client.query("SELECT pg_advisory_lock(hashtextextended($1, 0))", [template]);
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [template]);
    if (rowCount) return;
    await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${unfinished}`);
    await migrate(databaseUrl(unfinished));
    // One that somebody is connected to cannot be copied.
    await client.query(`ALTER DATABASE ${unfinished} ALLOW_CONNECTIONS false`);
    await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [unfinished]);
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${template}`);
  });
  return template;
}

function databaseUrl(name: string): string {
  const url = new URL(adminUrl());
  url.pathname = `/${name}`;
  return url.href;
}

function adminUrl(): string {
  return provided("testDatabaseUrl");
}

function runId(): string {
  return provided("testRunId");
}
