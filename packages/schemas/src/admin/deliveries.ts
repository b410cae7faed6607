import { z } from "zod";
import { deliveryDetail, deliveryRow, deliveryState } from "../admin.ts";
import { defineRoutes } from "./contract.ts";
import { pageOf, paging, time } from "./values.ts";

const count = z.int().nonnegative();
const text = z.string().max(400).optional();

/** Which deliveries; what is left out is not asked for. */
const filter = {
  source: text,
  type: text,
  handler: text.describe("the name of a handler, or the id of an endpoint"),
  state: deliveryState.optional(),
  since: time.optional().describe("of events received then or later"),
  until: time.optional().describe("of events received before"),
  subject: text,
  event: text.describe("the id of an event, or its seq: 7, or seq:7"),
};

export const deliveryRoutes = defineRoutes({
  "GET /deliveries": {
    summary: "List deliveries, the newest events' first",
    role: "viewer",
    query: z.object({ ...filter, ...paging }),
    response: pageOf(deliveryRow),
  },
  "GET /deliveries/details": {
    summary: "The deliveries of an event, each with its tries",
    role: "viewer",
    query: z.object({ event: z.string().max(400), handler: text }),
    response: z.object({ items: z.array(deliveryDetail) }),
  },
  "POST /deliveries/{change}": {
    summary: "Retry, skip or cancel all deliveries that match",
    role: "operator",
    path: z.object({ change: z.enum(["retry", "skip", "cancel"]) }),
    body: z.object(filter),
    response: z.object({
      deliveries: count,
      /** What was not reached in time: ask again. */
      left: count,
    }),
  },
  "POST /quarantine/{seq}/dismiss": {
    summary: "Have an event in quarantine that is dealt with listed no more",
    role: "operator",
    path: z.object({ seq: z.coerce.number().int().nonnegative() }),
    response: null,
  },
});
