import type { StoreConfig } from "@penstock/schemas";
import { createQueuePool } from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { findStoreConfig } from "./database.ts";

/** How long a person waits for a queue that is away, in milliseconds. */
const ADD_TIMEOUT_MS = 1_000;

/** Opens pools for a queue on Postgres: on its own database, or on that of the data. */
export function openQueuePool({ databaseUrl }: StoreConfig, schema: string) {
  return (url = databaseUrl, maxConnections: number) =>
    createQueuePool({ connectionString: url, schema, maxConnections, applicationName: "penstock-cli" });
}

/** Adds the job of a batch that this command has committed. Never rejects: without a job, a worker's sweep finds the batch. */
export async function addBatchJob(ctx: CliContext, batch: number): Promise<void> {
  const config = await findStoreConfig(ctx);
  // Loaded when needed: it brings BullMQ with it.
  const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const queue = openQueue(config.queue, openQueuePool(config, QUEUE_SCHEMA), { addTimeoutMs: ADD_TIMEOUT_MS });
  try {
    await queue.add([[batch]]);
  } catch {
    // The queue is away.
  } finally {
    await queue.close();
  }
}
