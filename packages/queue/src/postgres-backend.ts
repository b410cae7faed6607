import { setTimeout as delay } from "node:timers/promises";
import { createPostgresBackend, runMigrations } from "bullmq";
import type { QueueBackend, QueueConnection } from "./create-queue.ts";

/** What BullMQ, and ending it in time, need of a `pg.Pool`. */
export interface QueuePool {
  query(sql: string): Promise<unknown>;
  connect(): Promise<{ query(sql: string): Promise<unknown>; release(): void }>;
  end(): Promise<void>;
  on(event: "connect" | "remove", listener: (client: PooledClient) => void): unknown;
}

interface PooledClient {
  end(): Promise<void>;
}

/** The schema that holds BullMQ's own tables. */
export const QUEUE_SCHEMA = "bullmq";

const CUT_MS = 500;

/**
 * BullMQ on Postgres. `openPool` must give pools whose `search_path` is {@link QUEUE_SCHEMA}: BullMQ names its tables
 * plainly. A consumer takes one connection for LISTEN besides those that work.
 */
export function postgresBackend(openPool: (maxConnections: number) => QueuePool): QueueBackend {
  return {
    name: "postgres",
    factory: [createPostgresBackend],
    connectProducer() {
      const pool = openPool(2);
      return {
        ...connectionOf(pool),
        settled: () => Promise.resolve(), // a pool connects when it is asked, and who asks waits
        async ping() {
          await pool.query("SELECT 1");
        },
        warnings: () => Promise.resolve([]),
      };
    },
    connectConsumer: (connections) => connectionOf(openPool(connections + 2)),
  };
}

function connectionOf(pool: QueuePool): QueueConnection {
  const clients = new Set<PooledClient>();
  pool.on("connect", (client) => clients.add(client));
  pool.on("remove", (client) => clients.delete(client));
  return {
    connection: pool,
    async cut() {
      // The pool alone would wait for the clients in use, and those for a server that may never answer.
      const ended = Promise.allSettled([pool.end(), ...[...clients].map((client) => client.end())]);
      await Promise.race([ended, delay(CUT_MS, undefined, { ref: false })]);
    },
  };
}

/** Makes or updates BullMQ's tables. Safe to run from several processes at once. */
export async function migratePostgresQueue(pool: QueuePool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client as Parameters<typeof runMigrations>[0], QUEUE_SCHEMA);
  } finally {
    client.release();
  }
}
