import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import type { Client } from "pg";
import type { ProvidedServer } from "./provided-server.ts";
import { makeServerDirectory, removeServerDirectory } from "./server-directory.ts";
import { dropRoles } from "./drop-roles.ts";
import { withClient } from "./with-client.ts";

const OLDEST_VERSION = 150_000;

/**
 * Test files run side by side, each with the pools of several processes. What they write need not outlive the machine, and
 * without fsync a new database takes a third of the time; a server that a test stops and kills is its own, with fsync on.
 */
const SETTINGS = { max_connections: "400", fsync: "off" };

/**
 * The Postgres of a run: TEST_DATABASE_URL, else one whose data is thrown away: what `start` makes, where it makes one with
 * these settings of postgresql.conf, or an embedded one.
 */
export async function providePostgres(
  runId: string,
  start: (settings: Record<string, string>) => Promise<ProvidedServer | null> = () => Promise.resolve(null),
): Promise<ProvidedServer> {
  const given = process.env["TEST_DATABASE_URL"];
  if (given) return useGiven(given, runId);
  const started = await start(SETTINGS);
  if (started !== null) return started;
  const dir = await makeServerDirectory();
  const server = await startEmbeddedPostgres({ dir, flushNewData: false, settings: SETTINGS });
  // When the process ends without `end`: nothing can be waited for then. The next run removes the data.
  const abandon = (): void => {
    try {
      process.kill(server.pid, "SIGQUIT");
    } catch {
      // It has ended by itself.
    }
  };
  process.once("exit", abandon);
  return {
    url: server.url,
    end: async () => {
      process.off("exit", abandon);
      await removeEmbeddedPostgres(dir);
      await removeServerDirectory(dir);
    },
  };
}

async function useGiven(url: string, runId: string): Promise<ProvidedServer> {
  const version = await withClient(url, async (client) => {
    const { rows } = await client.query<{ version: number; creates: boolean }>(
      `SELECT current_setting('server_version_num')::int AS version, rolcreatedb OR rolsuper AS creates
       FROM pg_roles WHERE rolname = current_user`,
    );
    return rows[0];
  }).catch((error: unknown) => {
    throw new Error("TEST_DATABASE_URL is set, but its server cannot be used. Start it, or unset the variable.", {
      cause: error,
    });
  });
  if (!version || version.version < OLDEST_VERSION || !version.creates) {
    throw new Error("TEST_DATABASE_URL has to name a PostgreSQL 15 or newer and a role that may create databases.");
  }
  return { url, end: () => withClient(url, (client) => dropDatabasesOf(client, runId)) };
}

async function dropDatabasesOf(client: Client, runId: string): Promise<void> {
  const { rows } = await client.query<{ datname: string; datistemplate: boolean }>(
    "SELECT datname, datistemplate FROM pg_database WHERE datname LIKE $1",
    [`%\\_${runId}\\_%`],
  );
  for (const { datname, datistemplate } of rows) {
    if (datistemplate) await client.query(`ALTER DATABASE "${datname}" IS_TEMPLATE false`);
    await client.query(`DROP DATABASE IF EXISTS "${datname}" WITH (FORCE)`);
  }
  await dropRoles(client, `%\\_${runId}\\_%`);
}
