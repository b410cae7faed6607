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
  "GET /events/stream": {
    summary: "Hear of events as they are processed; with Last-Event-ID, from there on",
    role: "viewer",
    query: z.object({
      /** Several, separated by commas. */
      types: z.string().optional(),
      source: z.string().optional(),
      /** As Last-Event-ID, for who cannot send that. */
      after: z.coerce.number().int().nonnegative().optional(),
    }),
    stream: "events",
    response: z.object({
      items: z.array(eventRow.pick({ seq: true, source: true, id: true, type: true, receivedAt: true, bytes: true })),
      /** How many more came at the same time, that are not among these. */
      left: z.int().nonnegative(),
    }),
  },
});
