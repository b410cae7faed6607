import { removeEmbeddedPostgres, signalServer, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { makeServerDirectory, removeServerDirectory } from "@penstock/test-postgres";
import { wantsContainers } from "./docker.ts";
import { atFileEnd } from "./file-end.ts";
import { startPostgresContainer } from "./postgres-container.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/**
 * Starts a Postgres of a test's own, to be stopped, killed, frozen and started again; its database is empty.
 *
 * Costs a second or two; a test that does nothing to the server takes createTestDatabase. `settings` are of
 * postgresql.conf.
 */
export async function startPostgres(options: { settings?: Record<string, string> } = {}): Promise<ServerUnderTest> {
  const settings = options.settings ?? {};
  if (await wantsContainers()) {
    const container = await startPostgresContainer(settings);
    atFileEnd(() => container.remove());
    return container;
  }
  const dir = await makeServerDirectory();
  let server = await startEmbeddedPostgres({ dir, settings, flushNewData: false });
  const { url, port } = server;
  const remove = async (): Promise<void> => {
    await removeEmbeddedPostgres(dir);
    await removeServerDirectory(dir);
  };
  atFileEnd(remove);
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    start: async () => {
      server = await startEmbeddedPostgres({ dir, port, settings });
    },
    stop: () => server.stop(),
    kill: () => signalServer(server.pid, "SIGKILL"),
    freeze: () => signalServer(server.pid, "SIGSTOP"),
    thaw: () => signalServer(server.pid, "SIGCONT"),
    remove,
  };
}
