import { z } from "zod";
import { defineRoutes } from "./contract.ts";
import { time } from "./values.ts";

const count = z.int().nonnegative();

export const databaseRoutes = defineRoutes({
  "GET /database": {
    summary: "What takes how much space, what waits, and what holds up vacuum",
    role: "viewer",
    response: z.object({
      version: z.string(),
      bytes: count,
      connections: z.object({ used: count, max: count }),
      /** The largest first, each with its partitions and indexes. */
      tables: z.array(
        z.object({
          schema: z.string(),
          name: z.string(),
          bytes: count,
          /** As Postgres estimates. */
          rows: count,
          deadRows: count,
          partitions: count,
          vacuumedAt: time.nullable(),
        }),
      ),
      /** By day of receipt (UTC), the newest first. */
      days: z.array(z.object({ day: z.string(), bytes: count, tables: z.record(z.string(), count) })),
      oldestTransaction: z
        .object({ pid: z.int(), application: z.string(), state: z.string(), seconds: z.number() })
        .nullable(),
      backlog: z.object({ pendingEvents: count, oldestPendingSeconds: z.number() }),
    }),
  },
});
