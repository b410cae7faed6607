import { findFreePort } from "@penstock/embedded-postgres";
import { RedisContainer } from "@testcontainers/redis";
import { answersPing } from "./answers-ping.ts";
import { toServerUnderTest } from "./container-under-test.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** As in docker-compose.yml. */
const IMAGE = "redis:8";

/** Starts a Redis in Docker on a port of this machine that it keeps. */
export async function startRedisContainer(persistent: boolean): Promise<ServerUnderTest> {
  const port = await findFreePort();
  const durability = persistent ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  const container = await new RedisContainer(IMAGE)
    .withExposedPorts({ container: 6379, host: port })
    .withCommand(["redis-server", "--save", "", "--maxmemory-policy", "noeviction", ...durability])
    .start();
  const host = container.getHost();
  return toServerUnderTest(container, {
    url: `redis://${host}:${port}`,
    port,
    isReady: () => answersPing(host, port),
  });
}
