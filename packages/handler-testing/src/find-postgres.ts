import { randomBytes } from "node:crypto";
import { type ProvidedPostgres, providePostgres, removeAbandonedServers } from "@penstock/test-postgres";
import { vitest } from "./vitest.ts";

/** The Postgres of a test run, and whether what is made in it for all of the run is gone with it. */
export interface FoundPostgres extends ProvidedPostgres {
  readonly keepsTemplates: boolean;
}

let started: Promise<FoundPostgres> | undefined;

/**
 * The run's Postgres: that of Vitest's global setup where there is one; else TEST_DATABASE_URL; else, outside of Vitest, one
 * that this process starts when it first asks and that ends with it.
 *
 * Errors: says how to add the global setup. A worker of Vitest cannot start a server: it is ended without being asked.
 */
export function findPostgres(): Promise<FoundPostgres> {
  const inject = vitest?.inject as ((key: string) => string | undefined) | undefined;
  const url = inject?.("testDatabaseUrl");
  const runId = inject?.("testRunId");
  if (url === undefined && inject !== undefined && !process.env["TEST_DATABASE_URL"]) {
    const missing =
      'add globalSetup: ["@penstock/handler-testing/global-setup"] to `test` in vitest.config.ts, or set TEST_DATABASE_URL';
    return Promise.reject(new Error(`This Vitest project has no Postgres: ${missing}.`));
  }
  if (url !== undefined && runId !== undefined) return Promise.resolve({ url, runId, keepsTemplates: true });
  return (started ??= start());
}

async function start(): Promise<FoundPostgres> {
  const runId = randomBytes(4).toString("hex");
  await removeAbandonedServers();
  const { url } = await providePostgres(runId);
  // In a server that was given, a template would stay: nothing can be waited for when a process ends.
  return { url, runId, keepsTemplates: !process.env["TEST_DATABASE_URL"] };
}
