import { z } from "zod";
import { defineRoutes } from "./contract.ts";

/** `id` may be `seq:7`, for an event without an id. */
export const eventPath = z.object({ source: z.string().max(200), id: z.string().max(400) });
const path = eventPath;

const matches = z.object({
  /** Deliveries that are done again. */
  total: z.int(),
  handlers: z.array(z.object({ name: z.string(), count: z.int() })),
});

/** What is handled in place of the event's own body. */
const edited = z.object({ body: z.string().min(1).max(1_000_000), reason: z.string().max(500).optional() });

/** What can be done about one event. */
export const eventRepairRoutes = defineRoutes({
  "GET /events/{source}/{id}/replay": {
    summary: "Count what a replay of an event would do again",
    role: "viewer",
    path,
    query: z.object({ handler: z.string().optional() }),
    response: matches,
  },
  "POST /events/{source}/{id}/replay": {
    summary: "Have an event handled again",
    role: "operator",
    path,
    body: z.object({
      handler: z.string().max(200).optional(),
      /** Do effects again, too. */
      again: z.boolean().default(false),
      reason: z.string().max(500).optional(),
    }),
    response: matches.extend({ replay: z.string() }),
  },
  "POST /events/{source}/{id}/replay-edited/check": {
    summary: "Say whether another body would be understood, and who would get it",
    role: "operator",
    payloads: "needed",
    path,
    body: edited.pick({ body: true }),
    response: z.object({
      ok: z.boolean(),
      type: z.string().nullable().optional(),
      /** Why it would not be understood, by paths and rules. */
      reason: z.string().optional(),
      detail: z.string().optional(),
      /** Handlers and endpoints of its type. */
      subscribers: z.array(z.string()),
    }),
  },
  "POST /events/{source}/{id}/replay-edited": {
    summary: "Have another body handled, as a new event that is marked as a replay of this one",
    role: "operator",
    payloads: "needed",
    path,
    body: edited,
    response: z.object({
      replay: z.string(),
      /** Of the new event. */
      id: z.string(),
    }),
  },
});
