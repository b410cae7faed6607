import { z } from "zod";
import { errorMessage, statementText } from "../masked.ts";
import { defineRoutes } from "./contract.ts";

/** `id` may be `seq:7`, for an event without an id. */
export const eventPath = z.object({ source: z.string().max(200), id: z.string().max(400) });
const path = eventPath;

const matches = z.object({
  /** Deliveries that are done again. */
  total: z.int(),
  handlers: z.array(z.object({ name: z.string(), count: z.int() })),
});

/** What a handler would do with an event. */
const dryRunReport = z.object({
  outcome: z.enum(["succeeded", "failed", "not-understood", "not-subscribed"]),
  error: z.object({ errorClass: z.string().nullable(), errorMessage: errorMessage.nullable() }).nullable(),
  tookMs: z.number(),
  tables: z.array(z.object({ table: z.string(), inserted: z.int(), updated: z.int(), deleted: z.int() })),
  /** In order; failed ones included. */
  statements: z.array(z.object({ sql: statementText, rows: z.int().nullable(), error: errorMessage.nullable() })),
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
  "POST /events/{source}/{id}/dry-runs": {
    summary: "Have a worker run a handler for an event and keep nothing of it",
    role: "operator",
    path,
    body: z.object({ handler: z.string().max(200) }),
    response: z.object({ id: z.string() }),
  },
  "GET /dry-runs/{id}": {
    summary: "What came of a dry run: the rows that would change, the statements and errors",
    role: "operator",
    path: z.object({ id: z.uuid() }),
    response: z.object({
      /** `nobody`: no worker has taken it within a minute. `lost`: it did not end within a minute. */
      state: z.enum(["waiting", "nobody", "running", "lost", "done"]),
      handler: z.string(),
      worker: z.string().nullable(),
      report: dryRunReport.nullable(),
      /** What does the same where the handlers are. */
      command: z.string(),
    }),
  },
  "POST /events/{source}/{id}/signed": {
    summary: "Sign an event's exact body as its provider would now, to send it somewhere else",
    role: "operator",
    payloads: "needed",
    // A signature lets a request in.
    secret: true,
    path,
    response: z.object({
      headers: z.record(z.string(), z.string()),
      /** Why it is not signed; null where it is. */
      unsigned: z.enum(["no-secret", "provider-signs"]).nullable(),
    }),
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
