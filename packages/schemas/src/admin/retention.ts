import { z } from "zod";
import { defineRoutes } from "./contract.ts";
import { time } from "./values.ts";

const count = z.int().nonnegative();
const days = z.int().min(1).max(36_500);
const day = z.string().regex(/^\d{4}-\d\d-\d\d$/);

const kept = z.object({
  reason: z.enum(["term", "waiting", "blocking"]),
  of: z.string().describe("the source; of deliveries the handler or the endpoint"),
  events: count,
});

const hold = z.object({
  reason: z.enum(["unprocessed", "replay", "running", "in-use", "restored", "unarchived"]),
  of: z.string(),
  count: count,
});

const plan = z.object({
  policy: z.object({
    days,
    bytes: count.nullable().describe("what Penstock's tables may take; null: no limit"),
    dedupeWindowDays: days,
    archive: z
      .object({
        url: z.string(),
        region: z.string().nullable(),
        endpoint: z.string().nullable(),
        pathStyle: z.boolean().nullable(),
      })
      .optional()
      .describe("where days are archived before they go; not there: nowhere"),
    sources: z.record(z.string(), z.object({ days: days.nullable(), types: z.record(z.string(), days) })),
  }),
  toldAt: time.describe("since when the terms are as they are"),
  toldBy: z.string().describe("the worker that told them last"),
  isNew: z.boolean().describe("changed within the hour: workers wait with them"),
  bytes: count,
  frees: count,
  forecast: z.object({ perDayBytes: count, levelsOffAtBytes: count, daysUntilFull: count.nullable() }),
  days: z.array(
    z.object({
      day,
      bytes: count,
      action: z.enum(["drop", "thin", "keep", "restore"]),
      why: z.enum(["age", "bytes"]).nullable(),
      goes: count.describe("events"),
      frees: count,
      dueOn: day,
      kept: z.array(kept),
      holds: z.array(hold),
    }),
  ),
  rest: z.array(z.object({ table: z.string(), days, rows: count.describe("counted up to 10,000") })),
});

export const retentionRoutes = defineRoutes({
  "GET /retention": {
    summary: "The terms, what would be deleted now, and what is kept and why",
    role: "viewer",
    query: z.object({
      days: z.coerce.number().int().min(1).max(36_500).optional().describe("as if RETENTION_DAYS were this"),
    }),
    response: plan,
  },
  "GET /retention/archive": {
    summary: "Which days are archived before they go, and whether their archives are good",
    role: "viewer",
    response: z.object({
      archive: z
        .object({
          url: z.string().describe("as ARCHIVE_URL has it: it holds no credentials"),
          verified: count.describe("days that are archived and were read back"),
          bytes: count.describe("of these, compressed"),
          newest: day.nullable(),
          waiting: z.array(day).describe("days that are over and not archived yet"),
          damaged: z.array(z.object({ day, problem: z.string() })),
        })
        .nullable()
        .describe("null: days go without an archive"),
    }),
  },
  "GET /retention/gone": {
    summary: "When an event was deleted, and why",
    role: "viewer",
    query: z.object({ event: z.string().min(1).max(1_000).describe("its id, or its seq") }),
    response: z.object({
      gone: z
        .object({ day, seq: z.int(), wentAt: time, lastWentAt: time, why: z.enum(["age", "bytes"]) })
        .nullable()
        .describe("null: nobody knows of it, or it is there"),
    }),
  },
  "POST /retention/run": {
    summary: "Delete what is due, now",
    role: "admin",
    body: z.object({
      days: z.array(day).max(40_000).describe("those that the plan has: where others are due, nothing goes"),
    }),
    response: z.object({
      freed: count,
      days: z.array(
        z.object({
          day,
          outcome: z.enum(["dropped", "thinned", "restored"]),
          went: count,
          freed: count,
          kept: z.array(kept),
        }),
      ),
      failed: z.array(z.object({ day, error: z.string() })),
      held: z.array(z.object({ day, holds: z.array(hold) })).describe("days that are due and may not go yet"),
      rest: z.array(z.object({ table: z.string(), days, rows: count })),
    }),
  },
});
