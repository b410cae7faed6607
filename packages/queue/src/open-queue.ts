import type { QueueConfig } from "@penstock/schemas";
import { createEventQueue, type QueueBackend, type QueueTuning } from "./create-queue.ts";
import type { EventQueue } from "./event-queue.ts";
import { migratePostgresQueue, postgresBackend, type QueuePool } from "./postgres/postgres-backend.ts";
import { redisBackend } from "./redis/redis-backend.ts";

/** Opens a pool of Postgres connections for BullMQ; `url` is undefined where the queue shares the store's database. */
export type OpenQueuePool = (url: string | undefined, maxConnections: number) => QueuePool;

/** Opens the queue that QUEUE_URL names. */
export function openQueue(config: QueueConfig, openPool: OpenQueuePool, tuning?: QueueTuning): EventQueue {
  return createEventQueue(toBackend(config, openPool), tuning);
}

/** The backend that QUEUE_URL names. */
export function toBackend(config: QueueConfig, openPool: OpenQueuePool): QueueBackend {
  return config.kind === "redis" ? redisBackend(config.url) : postgresBackend((max) => openPool(config.url, max));
}

/** Makes the queue's own tables where it has some: on Postgres. */
export async function migrateQueue(config: QueueConfig, openPool: OpenQueuePool): Promise<void> {
  if (config.kind !== "postgres") return;
  const pool = openPool(config.url, 1);
  try {
    await migratePostgresQueue(pool);
  } finally {
    await pool.end();
  }
}
