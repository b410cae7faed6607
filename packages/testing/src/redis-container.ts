import { findFreePort } from "@penstock/embedded-postgres";
import { RedisContainer } from "@testcontainers/redis";
import { answersPing } from "./answers-ping.ts";
import { callDocker } from "./docker.ts";
import { eventually } from "./eventually.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

const IMAGE = "redis:7.2-alpine";

/** Starts a Redis in Docker on a port of this machine that it keeps. */
export async function startRedisContainer(persistent: boolean): Promise<ServerUnderTest> {
  const port = await findFreePort();
  const durability = persistent ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  const container = await new RedisContainer(IMAGE)
    .withExposedPorts({ container: 6379, host: port })
    .withCommand(["redis-server", "--save", "", "--maxmemory-policy", "noeviction", ...durability])
    .start();
  // A container that was stopped or killed is started again by its id: testcontainers would remove it.
  const act = async (action: string): Promise<void> => {
    const status = await callDocker("POST", `/containers/${container.getId()}/${action}`, 30_000);
    // 304 and 409: it is in that state already.
    if (status >= 400 && status !== 409)
      throw new Error(`Docker answered ${status} to ${action} of a Redis container.`);
  };
  return {
    url: `redis://${container.getHost()}:${port}`,
    port,
    pid: 0,
    start: async () => {
      await act("start");
      await eventually(async () => {
        if (!(await answersPing(container.getHost(), port))) throw new Error("The Redis container does not answer.");
      });
    },
    stop: () => act("stop"),
    kill: () => act("kill"),
    freeze: () => act("pause"),
    thaw: () => act("unpause"),
    remove: async () => {
      // Docker does not end a paused container everywhere; one that is not paused it refuses to go on with.
      await act("unpause").catch(() => {});
      await container.stop({ timeout: 0 });
    },
  };
}
