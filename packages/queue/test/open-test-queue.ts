import {
  type EventQueue,
  migrateQueue,
  openQueue,
  type OpenQueuePool,
  QUEUE_SCHEMA,
  type QueueTuning,
} from "@penstock/queue";
import type { QueueConfig } from "@penstock/schemas";
import { createQueuePool } from "@penstock/store";

/** Opens the queue behind a URL, with pools as the apps make them. */
export function openTestQueue(url: string, tuning?: QueueTuning): EventQueue {
  return openQueue(configOf(url), poolFor(url), tuning);
}

/** Makes the tables of a queue on Postgres. */
export async function migrateTestQueue(url: string): Promise<void> {
  await migrateQueue(configOf(url), poolFor(url));
}

function configOf(url: string): QueueConfig {
  return /^rediss?:/.test(url) ? { kind: "redis", url } : { kind: "postgres" };
}

function poolFor(connectionString: string): OpenQueuePool {
  return (url = connectionString, maxConnections) =>
    createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName: "queue-test" });
}
