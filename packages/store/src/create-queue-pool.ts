import { isTracing } from "@penstock/telemetry";
import pg from "pg";
import { keepContext } from "./keep-context.ts";
import { observePool } from "./observe-pool.ts";

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
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: options.maxConnections,
    application_name: options.applicationName,
    options: `-c search_path=${options.schema}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // Without listeners a server that restarts would take this process down with it.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  observePool("queue", pool);
  if (isTracing()) keepContext(pool);
  return pool;
}
