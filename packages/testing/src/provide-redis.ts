import type { ProvidedServer } from "@penstock/test-postgres";
import { Redis } from "ioredis";
import { findRedis } from "./find-redis.ts";
import { startRedisContainer } from "./redis-container.ts";
import { startRedisProcess } from "./redis-process.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** The run's Redis: TEST_REDIS_URL, else one of our own without persistence. */
export async function provideRedis(): Promise<ProvidedServer> {
  const given = process.env["TEST_REDIS_URL"];
  if (given) {
    await assertAnswers(given);
    return { url: given, end: async () => {} };
  }
  const server = await launchRedis(false);
  return { url: server.url, end: () => server.remove() };
}

async function assertAnswers(url: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, connectTimeout: 5_000, commandTimeout: 5_000 });
  // Reported by the command that it makes fail.
  redis.on("error", () => {});
  try {
    await redis.ping();
  } catch (error) {
    throw new Error("TEST_REDIS_URL is set, but its server cannot be used. Start it, or unset the variable.", {
      cause: error,
    });
  } finally {
    redis.disconnect();
  }
}

/** Starts a Redis of our own, wherever one was found. */
export async function launchRedis(persistent: boolean): Promise<ServerUnderTest> {
  const origin = await findRedis();
  return origin.kind === "program" ? startRedisProcess(origin.program, persistent) : startRedisContainer(persistent);
}
