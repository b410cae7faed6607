import type { Patient } from "@penstock/doctor";
import type { EventQueue } from "@penstock/queue";
import type { ConsoleConfig } from "@penstock/schemas";
import { createQueuePool, type Store } from "@penstock/store";

/** What the doctor of a console looks at. The queue is opened for a look: a console has no other use for it. */
export function createPatient(
  config: Pick<ConsoleConfig, "databaseUrl" | "queue" | "masterKeys">,
  given: Pick<Patient, "settings" | "unknownSettings" | "exporters" | "refusedFolder" | "version" | "sources"> & {
    readonly store: Store;
  },
): Patient {
  const withQueue = async <T>(look: (queue: EventQueue) => Promise<T>): Promise<T> => {
    // Loaded when needed: it brings BullMQ with it.
    const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
    const openPool = (connectionString = config.databaseUrl, maxConnections: number) =>
      createQueuePool({ connectionString, schema: QUEUE_SCHEMA, maxConnections, applicationName: "penstock-console" });
    const queue = openQueue(config.queue, openPool);
    try {
      return await look(queue);
    } finally {
      await queue.close();
    }
  };
  return {
    ...given,
    queue: {
      backend: config.queue.kind,
      inspect: () => withQueue((queue) => queue.inspect()),
      warnings: () => withQueue((queue) => queue.warnings()),
    },
    masterKeys: config.masterKeys,
    // Its image has no handlers; workers say what they miss.
    handlers: [],
    penstock: "penstock",
  };
}
