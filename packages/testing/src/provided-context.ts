declare module "vitest" {
  /** What the global setup hands to every test file; `inject` reads it. */
  export interface ProvidedContext {
    /** Connection string of the run's Postgres, as a role that may create databases. */
    testDatabaseUrl: string;
    /** Connection string of the run's Redis, without a database number. */
    testRedisUrl: string;
    /** Part of the name of every database of this run, since a server that was given outlives it. */
    testRunId: string;
  }
}

export {};
