import { z } from "zod";
import { deliveryDetail, deliveryState, eventAttempt, eventRow } from "../admin.ts";
import { MAX_QUERY_LENGTH } from "../search/query.ts";
import { defineRoutes } from "./contract.ts";
import { eventPath as path } from "./event-repair.ts";
import { pageOf, paging, time } from "./values.ts";

const q = z
  .string()
  .max(MAX_QUERY_LENGTH)
  .default("")
  .describe('which events, e.g. type:message.* state:dead data.contactId=cnt_1 "free text" age<2h');

/** How the request of an event came. */
const arrival = z.object({
  headers: z.array(z.object({ name: z.string(), value: z.string() })),
  /** Whether the values are masked: they are a part of what was sent. */
  masked: z.boolean(),
  /** The secret that verified it, by its fingerprint; null where that is not known. */
  secret: z
    .object({
      fingerprint: z.string(),
      /** Where it is; `gone` once it has been removed. */
      from: z.enum(["database", "environment", "gone"]),
      addedAt: time.nullable(),
    })
    .nullable(),
  /** How old the signature was; null where it covers no time. */
  signatureAgeMs: z.number().nullable(),
});

const event = eventRow.extend({
  subjects: z.array(z.string()),
  traceparent: z.string().nullable(),
  deliveries: z.array(deliveryDetail),
  attempts: z.array(eventAttempt),
});

/** What has to do with an event, beside the events with the same subject. */
const related = z.object({
  /** How often the event came again with the same body; a copy itself is not kept. */
  copies: z.object({ count: z.int(), more: z.boolean(), lastAt: time.nullable() }),
  /** What waits, runs or is dead in the lanes of the event's deliveries. */
  lanes: z.array(
    z.object({
      subscriber: z.string(),
      lane: z.string(),
      deliveries: z.array(z.object({ state: deliveryState, event: eventRow })),
    }),
  ),
  replays: z.array(
    z.object({
      id: z.string(),
      status: z.enum(["running", "done", "cancelled"]),
      reason: z.string().nullable(),
      createdAt: time,
    }),
  ),
  /** Events that replays made of this one, with another body. */
  made: z.array(eventRow),
});

export const eventsRoutes = defineRoutes({
  "GET /events": {
    summary: "Search events, the newest first",
    role: "viewer",
    query: z.object({
      q,
      open: z.literal("true").optional().describe("of events in quarantine, only those that nobody has dismissed"),
      ...paging,
    }),
    response: pageOf(eventRow).extend({
      /** Where the search has looked at bodies from; null where it did not have to, or the query says a time. */
      bodiesSince: time.nullable(),
    }),
  },
  "GET /events/histogram": {
    summary: "Count events over time: the newest 10,000 of a query, all of one that asks for a time alone",
    role: "viewer",
    query: z.object({ q }),
    response: z.object({
      from: time,
      to: time,
      bucketMs: z.int(),
      counts: z.array(z.int()),
      total: z.int(),
      /** Whether there are more than the total. */
      more: z.boolean(),
      countedSince: time.nullable(),
    }),
  },
  "GET /events/values": {
    summary: "What a query may ask for here: types, sources, handlers, and paths in the newest bodies",
    role: "viewer",
    response: z.object({
      type: z.array(z.string()),
      source: z.array(z.string()),
      handler: z.array(z.string()),
      paths: z.array(z.string()),
    }),
  },
  "GET /events/{source}/{id}": {
    summary: "One event with its deliveries and their attempts; several where an id came with different bodies",
    role: "viewer",
    path,
    response: z.object({ items: z.array(event) }),
  },
  "GET /events/{source}/{id}/body": {
    summary: "The body of an event; to those who may not see payloads its keys, with the values masked",
    role: "viewer",
    path,
    query: z.object({
      reveal: z
        .literal("true")
        .optional()
        .describe("also the fields that its source calls sensitive; that is on record"),
    }),
    response: z.object({
      seq: z.int(),
      masked: z.boolean(),
      mayReveal: z.boolean().describe("what is masked are sensitive fields, and `reveal` shows them"),
      encoding: z.enum(["utf8", "base64"]),
      body: z.string(),
    }),
  },
  "GET /events/{source}/{id}/arrival": {
    summary: "How an event came: the headers that are kept, which secret verified it, how old the signature was",
    role: "viewer",
    path,
    response: z.object({
      /** Null where nothing is kept of it, or the event was made here. */
      arrival: arrival.nullable(),
    }),
  },
  "GET /events/{source}/{id}/related": {
    summary: "What has to do with an event: its copies, its lanes, its replays, and events made of it",
    role: "viewer",
    path,
    response: related,
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
