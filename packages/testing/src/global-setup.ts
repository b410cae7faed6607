import { randomBytes } from "node:crypto";
import { type ProvidedServer, providePostgres, removeAbandonedServers } from "@penstock/test-postgres";
import type { TestProject } from "vitest/node";
import { wantsContainers } from "./docker.ts";
import { startPostgresContainer } from "./postgres-container.ts";
import { provideRedis } from "./provide-redis.ts";
import { killAbandonedRedis } from "./redis-process.ts";
import "./provided-context.ts";

/**
 * Vitest's global setup: one real Postgres and one real Redis for the run, ended with it.
 *
 * Tests get at them by createTestDatabase and createTestRedis. Errors: one that says what to do when a server can neither
 * be reached nor be started.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandonedServers(killAbandonedRedis);
  const runId = randomBytes(4).toString("hex");
  const started = await Promise.allSettled([providePostgres(runId, startContainer), provideRedis()]);
  const teardown = async (): Promise<void> => {
    await Promise.all(started.map(async (each) => each.status === "fulfilled" && (await each.value.end())));
  };
  const [postgres, redis] = started;
  if (postgres.status === "rejected" || redis.status === "rejected") {
    await teardown();
    throw postgres.status === "rejected" ? postgres.reason : (redis as PromiseRejectedResult).reason;
  }
  project.provide("testDatabaseUrl", postgres.value.url);
  project.provide("testRedisUrl", redis.value.url);
  project.provide("testRunId", runId);
  return teardown;
}

/** Postgres from Docker where TEST_CONTAINERS asks for it. */
async function startContainer(settings: Record<string, string>): Promise<ProvidedServer | null> {
  if (!(await wantsContainers())) return null;
  const server = await startPostgresContainer(settings);
  return { url: server.url, end: () => server.remove() };
}
