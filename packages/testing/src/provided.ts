import type { ProvidedPostgres } from "@penstock/test-postgres";
import { inject } from "vitest";
import "./provided-context.ts";

/** A value of the global setup. Errors: says how to add the setup when it did not run. */
export function provided(key: "testDatabaseUrl" | "testRedisUrl" | "testRunId"): string {
  const value: string | undefined = inject(key);
  if (value === undefined) {
    throw new Error('This Vitest project lacks the servers: add globalSetup: "@penstock/testing/global-setup" to it.');
  }
  return value;
}

/** The run's Postgres. */
export function providedPostgres(): ProvidedPostgres {
  return { url: provided("testDatabaseUrl"), runId: provided("testRunId") };
}
