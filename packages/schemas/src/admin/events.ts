import { z } from "zod";
import { deliveryState, eventRow } from "../admin.ts";
import { defineRoutes } from "./contract.ts";
import { pageOf, paging, time } from "./values.ts";

export const eventsRoutes = defineRoutes({
  "GET /events": {
    summary: "List events, the newest first",
    role: "viewer",
    query: z.object({
      source: z.string().optional(),
      type: z.string().optional(),
      handler: z.string().optional(),
      state: deliveryState.optional(),
      status: eventRow.shape.status.optional(),
      since: time.optional(),
      until: time.optional(),
      subject: z.string().optional(),
      ...paging,
    }),
    response: pageOf(eventRow),
  },
});
