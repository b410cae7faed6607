import { randomBytes } from "node:crypto";
import { providePostgres, removeAbandonedServers } from "@penstock/test-postgres";

/** What is used of Vitest's project. */
interface Project {
  provide(key: string, value: string): void;
}

/**
 * Vitest's global setup: one real Postgres for all test files of a run, ended with it.
 *
 * @example
 * export default defineConfig({ test: { globalSetup: ["@penstock/handler-testing/global-setup"] } });
 */
export default async function setup(project: object): Promise<() => Promise<void>> {
  await removeAbandonedServers();
  const runId = randomBytes(4).toString("hex");
  const server = await providePostgres(runId);
  // Vitest lets a key be provided that is declared: here only findPostgres asks for these.
  const { provide } = project as Project;
  provide.call(project, "testDatabaseUrl", server.url);
  provide.call(project, "testRunId", runId);
  return () => server.end();
}
