import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import type { Client } from "pg";
import { wantsContainers } from "./docker.ts";
import { startPostgresContainer } from "./postgres-container.ts";
import type { ProvidedServer } from "./provided-server.ts";
import { makeServerDirectory, removeServerDirectory } from "./server-directory.ts";
import { withClient } from "./with-client.ts";

const OLDEST_VERSION = 150_000;

/** Test files run side by side, each with the pools of several processes. */
const SETTINGS = { max_connections: "400" };

/** The run's Postgres: TEST_DATABASE_URL, else one whose data is thrown away: in Docker with TEST_CONTAINERS, embedded. */
export async function providePostgres(runId: string): Promise<ProvidedServer> {
  const given = process.env["TEST_DATABASE_URL"];
  if (given) return useGiven(given, runId);
  if (await wantsContainers()) {
    const server = await startPostgresContainer(SETTINGS);
    return { url: server.url, end: () => server.remove() };
  }
  const dir = await makeServerDirectory();
  const server = await startEmbeddedPostgres({ dir, flushNewData: false, settings: SETTINGS });
  return {
    url: server.url,
    end: async () => {
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
}
