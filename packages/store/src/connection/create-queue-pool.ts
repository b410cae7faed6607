import type pg from "pg";
import { openPool } from "./open-pool.ts";

/**
 * Opens a pool for BullMQ on Postgres, whose tables live in a schema of their own. It needs direct connections: LISTEN
 * does not work through a pooler in transaction mode.
 */
export function createQueuePool(options: {
  readonly connectionString: string;
  readonly schema: string;
  readonly maxConnections: number;
  readonly applicationName: string;
}): pg.Pool {
  const pool = openPool(
    "queue",
    {
      connectionString: options.connectionString,
      max: options.maxConnections,
      connectionTimeoutMillis: 5_000,
    },
    { application_name: options.applicationName, search_path: `"${options.schema}"` },
  );
  pool.on("error", () => undefined);
  return pool;
}
