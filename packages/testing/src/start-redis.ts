import { atFileEnd } from "./file-end.ts";
import { launchRedis } from "./provide-redis.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/**
 * Starts a Redis of a test's own, to be stopped, killed, frozen and started again.
 *
 * Without `persistent` it forgets everything when it ends; with it, what it acknowledged is on disk (appendfsync always).
 */
export async function startRedis({ persistent = false }: { persistent?: boolean } = {}): Promise<ServerUnderTest> {
  const server = await launchRedis(persistent);
  atFileEnd(() => server.remove());
  return server;
}
