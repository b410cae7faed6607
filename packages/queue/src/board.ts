import type { IncomingMessage, ServerResponse } from "node:http";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import type { QueueConfig } from "@penstock/schemas";
import { toBackend, type OpenQueuePool } from "./open-queue.ts";
import { createBullQueue } from "./producer.ts";

/** bull-board on the queue of batches, which shows and changes nothing. */
export interface QueueBoard {
  /** An Express app, to be mounted at the path that the board was opened for. */
  readonly app: (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;
  close(): Promise<void>;
}

/**
 * Opens the board, read-only: what its buttons would change would be in no audit log. `path` is where browsers see it.
 *
 * @throws when the queue's backend is away.
 */
export async function openQueueBoard(config: QueueConfig, openPool: OpenQueuePool, path: string): Promise<QueueBoard> {
  const backend = toBackend(config, openPool);
  const connection = backend.connectProducer();
  await connection.settled();
  const queue = createBullQueue(backend, connection);
  const close = async (): Promise<void> => {
    await queue.close().catch(() => undefined);
    await connection.disconnect();
  };
  try {
    await connection.ping();
    await queue.waitUntilReady();
  } catch (error) {
    await close();
    throw new Error(`the queue cannot be shown: ${backend.explain(error as Error)}`, { cause: error });
  }
  const serverAdapter = new ExpressAdapter().setBasePath(path);
  createBullBoard({
    queues: [new BullMQAdapter(queue, { readOnlyMode: true, description: "Pointers to batches of events" })],
    serverAdapter,
    options: { uiConfig: { boardTitle: "Penstock: the queue" } },
  });
  return { app: serverAdapter.getRouter() as QueueBoard["app"], close };
}

export { QUEUE_SCHEMA } from "./postgres/postgres-backend.ts";
