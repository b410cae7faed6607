import type { ConsoleConfig } from "@penstock/schemas";
import { createQueuePool } from "@penstock/store";
import type { QueueBoard } from "@penstock/queue/board";
import type { RequestHandler } from "express";
import helmet from "helmet";
import type { Authenticate } from "./api/principal.ts";
import { Problem } from "./api/problem.ts";

export interface QueueBoardRoute {
  readonly handlers: readonly RequestHandler[];
  close(): Promise<void>;
}

/**
 * Shows bull-board to admins, below `path` as browsers name it. It is opened at the first request: until somebody looks, the
 * console has no connection to the queue.
 */
export function createQueueBoard(
  config: Pick<ConsoleConfig, "databaseUrl" | "queue">,
  authenticate: Authenticate,
  path: string,
): QueueBoardRoute {
  let opening: Promise<QueueBoard> | undefined;

  async function open(): Promise<QueueBoard> {
    const { openQueueBoard, QUEUE_SCHEMA } = await import("@penstock/queue/board");
    const openPool = (connectionString = config.databaseUrl, maxConnections: number) =>
      createQueuePool({ connectionString, schema: QUEUE_SCHEMA, maxConnections, applicationName: "penstock-console" });
    return openQueueBoard(config.queue, openPool, path);
  }

  const show: RequestHandler = async (req, res, next) => {
    const who = await authenticate(req);
    if (who === null) throw new Problem(401, "Nobody is signed in", { detail: "Sign in to the console first." });
    if (who.role !== "admin") throw new Problem(403, "Only admins may look into the queue");
    // The board itself refuses writes to a queue that is read-only; here nothing depends on it.
    if (req.method !== "GET") throw new Problem(405, "The queue is shown here, and not changed");
    try {
      const { app } = await (opening ??= open());
      app(req, res, next);
    } catch (error) {
      opening = undefined;
      throw new Problem(503, "The queue does not answer", { detail: (error as Error).message });
    }
  };
  // bull-board has style attributes in its HTML. Its link to a font elsewhere stays refused.
  const csp = helmet.contentSecurityPolicy({
    directives: { "style-src": ["'self'", "'unsafe-inline'"], "upgrade-insecure-requests": null },
  });
  return {
    handlers: [csp, show],
    close: async () => {
      await opening?.then((board) => board.close()).catch(() => undefined);
    },
  };
}
