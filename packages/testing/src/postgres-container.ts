import { findFreePort } from "@penstock/embedded-postgres";
import { withClient } from "@penstock/test-postgres";
import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { toServerUnderTest } from "./container-under-test.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** As in docker-compose.yml. */
const IMAGE = "postgres:18";

/**
 * Starts a Postgres in Docker on a port of this machine that it keeps, with durability as it comes, fsync on, unless
 * `settings` (of postgresql.conf) say otherwise.
 */
export async function startPostgresContainer(settings: Readonly<Record<string, string>>): Promise<ServerUnderTest> {
  const port = await findFreePort();
  const container = await new PostgreSqlContainer(IMAGE)
    .withDatabase("postgres")
    .withExposedPorts({ container: 5432, host: port })
    .withCommand(["postgres", ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])])
    // Not by a shell, as it comes: where the check takes too long, Docker kills the shell, what it ran goes to process 1,
    // Postgres, and Postgres takes that stranger's exit code for a crash of its own and restarts.
    .withHealthCheck({
      test: ["CMD", "pg_isready", "--host", "127.0.0.1", "--username", "test"],
      interval: 1_000,
      timeout: 10_000,
      retries: 1_000,
    })
    .start();
  const url = container.getConnectionUri();
  const isReady = (): Promise<boolean> => withClient(url, () => Promise.resolve(true)).catch(() => false);
  return toServerUnderTest(container, { url, port, isReady });
}
