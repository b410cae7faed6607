import { z } from "zod";
import { deliveryState } from "../admin.ts";
import { parseMoment } from "../moment.ts";
import { defineRoutes } from "./contract.ts";
import { time } from "./values.ts";

const count = z.int().nonnegative();
const text = z.string().max(400).optional();

const moment = z
  .string()
  .max(40)
  .refine((typed) => parseMoment(typed) !== null, "It must be a time in ISO 8601, or how long ago: 30min, 2h, 3d")
  .optional();

const id = z.string().regex(/^[\w.-]{1,64}$/, "It must be 1 to 64 letters, digits, dots, dashes and underscores");

/** What a replay takes. */
const which = {
  event: text.describe("the id of an event, or its seq: 7, or seq:7"),
  source: text,
  type: text,
  handler: text,
  state: deliveryState.optional(),
  subject: text,
  since: moment.describe("a time, or how long ago: 2h"),
  until: moment,
  among: z
    .enum(["missing", "quarantined"])
    .optional()
    .describe("missing: only what the handler never had; quarantined: only events in quarantine"),
};

export const replayCount = z.object({
  total: z.int().nullable().describe("counted up to 100,000; null when that takes too long to tell"),
  handlers: z.array(z.object({ name: z.string(), kind: z.string(), count })),
  quarantined: count.describe("events in quarantine"),
  oldest: time.nullable(),
});

const replay = z.object({
  id: z.string(),
  status: z.enum(["running", "done", "cancelled"]),
  request: z.record(z.string(), z.unknown()),
  reason: z.string().nullable(),
  matched: count,
  enqueued: count,
  skipped: count,
  undone: count,
  done: count,
  complete: z.boolean(),
  createdAt: time,
  endedAt: time.nullable(),
});

const detail = replay.extend({
  states: z.record(z.string(), count),
  heldUpBy: z.object({ paused: z.array(z.string()), inLanes: count }),
});

export const replayRoutes = defineRoutes({
  "GET /replay-count": {
    summary: "Count what a replay would do again",
    role: "viewer",
    query: z.object(which),
    response: replayCount,
  },
  "GET /replays": {
    summary: "List replays, the newest first",
    role: "viewer",
    query: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(50) }),
    response: z.object({ items: z.array(replay) }),
  },
  "POST /replays": {
    summary: "Have all that matches handled again, or handled at last",
    role: "operator",
    body: z.object({
      ...which,
      id: id.optional().describe("with it, the same request again is the same replay"),
      again: z.boolean().optional().describe("do effects again, too"),
      rate: z.int().min(1).max(100_000).optional().describe("deliveries per second"),
      reason: z.string().max(500).optional(),
      all: z.boolean().optional().describe("needed where nothing says which"),
    }),
    response: z.object({ created: z.boolean(), replay: detail }),
  },
  "GET /replays/{id}": {
    summary: "A replay, and how far it is",
    role: "viewer",
    path: z.object({ id }),
    response: detail,
  },
  "POST /replays/{id}/cancel": {
    summary: "End a replay: what was not begun is as before",
    role: "operator",
    path: z.object({ id }),
    response: z.object({ undone: count, cancelled: count }),
  },
});
