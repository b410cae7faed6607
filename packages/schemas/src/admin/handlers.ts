import { z } from "zod";
import { adminOperations, deliveryState } from "../admin.ts";
import { errorLine, errorMessage } from "../masked.ts";
import { defineRoutes } from "./contract.ts";
import { time } from "./values.ts";

const count = z.int().nonnegative();
const name = z.object({ name: z.string().max(200) });

const handler = adminOperations["handlers.list"].output.extend({
  /** With the events of the last quarter of an hour; null where it got none. */
  pace: z
    .object({
      perSecond: z.number(),
      /** Milliseconds from the receipt of an event to its success: half of them, and 99 of 100. */
      p50Ms: z.number().nullable(),
      p99Ms: z.number().nullable(),
      succeeded: count,
      failed: count,
    })
    .nullable(),
});

const errorGroup = z.object({
  subscriber: z.string(),
  errorClass: z.string(),
  count,
  firstAt: time,
  lastAt: time,
  /** What the last one said, and which event it was about. */
  message: errorMessage,
  day: z.string(),
  seq: count,
});

const lane = z.object({
  handler: z.string(),
  lane: z.string(),
  state: z.enum(["running", "blocked", "waiting"]),
  /** The delivery that runs, or has to be done first. */
  head: z.object({
    day: z.string(),
    seq: count,
    subscriber: z.string(),
    eventId: z.string().nullable(),
    state: deliveryState,
    attempts: count,
    nextAttemptAt: time.nullable(),
  }),
  since: time,
  heldBy: z.enum(["paused", "disabled"]).nullable(),
  /** What waits behind the head, counted up to a thousand. */
  waiting: count,
  error: errorLine.nullable(),
});

export const handlerRoutes = defineRoutes({
  "GET /handlers": {
    summary: "List handlers: how fast they are, and what waits for them",
    role: "viewer",
    response: z.object({ items: z.array(handler) }),
  },
  "GET /event-types": {
    summary: "The types of events that are known: of providers' examples, of handlers, and Penstock's own",
    role: "viewer",
    response: z.object({ items: z.array(z.string()) }),
  },
  "GET /handlers/errors": {
    summary: "What has failed today and yesterday (UTC), by error",
    role: "viewer",
    query: z.object({ handler: z.string().optional() }),
    response: z.object({ items: z.array(errorGroup) }),
  },
  "POST /handlers/{name}/pause": {
    summary: "Start nothing of a handler until it is resumed",
    role: "operator",
    path: name,
    response: adminOperations["handlers.pause"].output,
  },
  "POST /handlers/{name}/resume": {
    summary: "Let a paused handler go on",
    role: "operator",
    path: name,
    response: adminOperations["handlers.resume"].output,
  },
  "DELETE /handlers/{name}": {
    summary: "Forget a handler that is gone for good: events no longer wait for it",
    role: "operator",
    path: name,
    response: null,
  },
  "GET /lanes": {
    summary: "List the lanes in which something waits or runs, and what blocks them",
    role: "viewer",
    query: z.object({
      handler: z.string().optional(),
      lane: z.string().optional(),
      state: lane.shape.state.optional(),
      limit: z.coerce.number().int().min(1).max(10_000).default(100),
    }),
    response: z.object({ items: z.array(lane) }),
  },
  "POST /lanes/unblock": {
    summary: "Skip the dead letter that blocks a lane, so that the lane goes on",
    role: "operator",
    body: z.object({ handler: z.string(), lane: z.string() }),
    response: lane,
  },
});
