import { z } from "zod";
import { defineRoutes } from "./contract.ts";
import { pageOf, paging, time } from "./values.ts";

export const auditRoutes = defineRoutes({
  "GET /audit": {
    summary: "What operators did, the newest first",
    role: "admin",
    query: z.object({
      actor: z.string().max(200).optional(),
      action: z.string().max(100).optional().describe("an action such as handlers.pause, or its noun"),
      target: z.string().max(300).optional(),
      since: time.optional(),
      until: time.optional(),
      ...paging,
    }),
    response: pageOf(
      z.object({
        id: z.int(),
        at: time,
        actor: z.string(),
        action: z.string(),
        target: z.string(),
        detail: z.record(z.string(), z.unknown()),
      }),
    ),
  },
});
