import { z } from "zod";
import { defineRoutes } from "./contract.ts";
import { time } from "./values.ts";

const count = z.int().nonnegative();
const value = z.string().min(1).max(1_000);

const wanted = z
  .array(
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("subject").describe("an id of what events are about"), value }),
      z.object({ kind: z.literal("value").describe("a text wherever it stands, of 4 characters at least"), value }),
      z.object({
        kind: z.literal("where").describe("a value at a path of the body"),
        path: z.array(z.string().min(1).max(200)).min(1).max(20),
        value,
      }),
    ]),
  )
  .min(1)
  .max(20)
  .describe("what has one of these is erased");

const erasure = z.object({
  id: z.int(),
  requestedAt: time,
  requestedBy: z.string(),
  kinds: z.array(z.string()).describe("what it was told by, without the values, e.g. subject or data.phone"),
  step: z.enum(["events", "texts", "handlers", "told", "done"]),
  waitsFor: z.string().nullable().describe("why it does not go on"),
  counts: z.record(z.string(), count).describe("what was overwritten, by kind"),
  handlers: z.record(
    z.string(),
    z.object({
      state: z.enum(["waiting", "done", "lacks", "absent", "failed"]),
      attempts: count,
      error: z.string().nullable().describe("the class of the last error"),
    }),
  ),
  endedAt: time.nullable(),
});

export const erasureRoutes = defineRoutes({
  "POST /erasures/plan": {
    summary: "What an erasure would overwrite; changes nothing",
    role: "admin",
    body: z.object({ wanted }),
    response: z.object({
      kinds: z.array(z.string()),
      events: count.describe("counted up to 10,000"),
      more: z.boolean().describe("there are more events than were counted"),
      oldest: time.nullable(),
      newest: time.nullable(),
      types: z.array(z.object({ source: z.string(), type: z.string(), events: count })),
      batches: count,
      deliveries: count,
      skipped: count.describe("deliveries that wait or are dead, and would be skipped"),
      attempts: count,
      effects: count,
      quarantine: count,
      filters: count,
      texts: z
        .record(z.string(), count.nullable())
        .describe("rows about other things, by table; null: it takes too long to count"),
      handlers: z.array(z.string()),
      endpoints: z.array(z.string()).describe("that were sent some of the events"),
    }),
  },
  "POST /erasures": {
    summary: "Erase a person: workers do it, and it cannot be undone",
    role: "admin",
    body: z.object({ wanted }),
    response: z.object({ id: z.int() }),
  },
  "GET /erasures": {
    summary: "Erasures, the newest first, without what was erased",
    role: "viewer",
    response: z.object({ items: z.array(erasure) }),
  },
  "GET /erasures/{id}": {
    summary: "How far an erasure is",
    role: "viewer",
    path: z.object({ id: z.coerce.number().int().positive().max(2_147_483_647) }),
    response: erasure,
  },
});
