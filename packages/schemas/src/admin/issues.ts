import { z } from "zod";
import { ISSUE_KINDS, ISSUE_STATES } from "../issue.ts";
import { defineRoutes } from "./contract.ts";
import { replayCount } from "./replays.ts";
import { pageOf, paging, time } from "./values.ts";

const issue = z.object({
  id: z.int(),
  kind: z.enum(ISSUE_KINDS),
  subject: z.string().describe("the handler, the endpoint or the source"),
  title: z.string(),
  place: z.string().nullable(),
  state: z.enum(ISSUE_STATES),
  changedAt: time,
  changedBy: z.string().nullable().describe("null: a worker"),
  note: z.string().nullable(),
  firstSeen: time,
  lastSeen: time,
  count: z.int(),
  reopened: z.int(),
  left: z.int().nullable().describe("counted up to 10,000; null where only a person can tell"),
  retrying: z.int(),
  example: z
    .object({
      day: z.string(),
      seq: z.int(),
      eventId: z.string().nullable(),
      source: z.string().nullable().describe("null once the event is gone"),
    })
    .nullable(),
});

const advised = issue.extend({
  advice: z.string().nullable().describe("where to look, where the source that it is about says so"),
});

const retry = z.object({
  id: z.string(),
  status: z.enum(["running", "done", "cancelled"]),
  matched: z.int(),
  enqueued: z.int(),
  done: z.int(),
  undone: z.int(),
  complete: z.boolean(),
  createdAt: time,
  endedAt: time.nullable(),
});

const detail = advised.extend({
  hours: z.array(z.object({ hour: time, count: z.int() })),
  replays: z.array(z.string()).describe("the ids of all its retries, the newest first"),
  retries: z.array(retry).describe("the newest of them"),
});

const id = z.object({ id: z.coerce.number().int().min(1).max(2_147_483_647) });
const note = z.object({ note: z.string().max(500).optional() });

const change = (summary: string) => ({ summary, role: "operator", path: id, body: note, response: detail }) as const;

export const issuesRoutes = defineRoutes({
  "GET /issues": {
    summary: "List issues, those that occurred last first",
    role: "viewer",
    query: z.object({
      state: z
        .enum([...ISSUE_STATES, "unsettled", "all"])
        .default("unsettled")
        .describe("unsettled: open or acknowledged"),
      kind: z.enum(ISSUE_KINDS).optional(),
      subject: z.string().max(300).optional(),
      ...paging,
    }),
    response: pageOf(issue),
  },
  "GET /issues/{id}": {
    summary: "An issue, its occurrences by hour, its retries",
    role: "viewer",
    path: id,
    response: detail,
  },
  "POST /issues/{id}/acknowledge": change("Say that somebody looks at an issue"),
  "POST /issues/{id}/resolve": change("Say that the cause of an issue is mended"),
  "POST /issues/{id}/ignore": change("Have an issue counted and told no more"),
  "POST /issues/{id}/reopen": change("Have an issue open again"),
  "GET /issues/{id}/retry": {
    summary: "How many a retry of all of an issue would take",
    role: "viewer",
    path: id,
    response: replayCount,
  },
  "POST /issues/{id}/retry": {
    summary: "Have all that is left of an issue run again, as a replay",
    role: "operator",
    path: id,
    response: z.object({ retry: z.string() }),
  },
  "POST /issues/{id}/retries/{retry}/cancel": {
    summary: "End a retry: what was not begun is as before",
    role: "operator",
    path: id.extend({ retry: z.string().max(64) }),
    response: z.object({ undone: z.int(), cancelled: z.int() }),
  },
});

const minute = z.object({ at: time, count: z.int() });

const answerTimes = z.object({
  acknowledged: z.int(),
  p50Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  unavailable: z.int().describe("requests that were answered with 503"),
});

export const overviewRoutes = defineRoutes({
  "GET /overview": {
    summary: "What needs attention, and how much is going on",
    role: "viewer",
    response: z.object({
      attention: z.array(advised).describe("issues that are open, at most ten"),
      moreIssues: z.boolean(),
      acknowledged: z.int().describe("issues that somebody looks at; counted up to 50"),
      pendingEvents: z.int(),
      oldestPendingSeconds: z.number(),
      deliveries: z.array(z.object({ subscriber: z.string(), state: z.string(), count: z.int() })),
      accepted: z.object({
        bucketMs: z.int(),
        perBucket: z.array(minute),
        perSecond: z.number().describe("of the last minute"),
      }),
      acknowledgements: answerTimes.extend({
        perMinute: z.array(answerTimes.extend({ at: time })).describe("last hour; minutes without any are left out"),
      }),
      failures: z
        .array(z.object({ subject: z.string(), hours: z.array(minute) }))
        .describe("dead letters by hour, last day"),
      idleHandlers: z.array(z.string()).describe("handlers of which no worker was seen for a minute"),
    }),
  },
});
