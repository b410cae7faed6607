import { z } from "zod";
import { adminOperations, deliveryState } from "../admin.ts";
import { defineRoutes } from "./contract.ts";
import { pageOf, paging, time } from "./values.ts";

const row = adminOperations["endpoints.show"].output;
const withSecret = adminOperations["endpoints.add"].output;
const id = z.object({ id: z.string().max(100) });
const count = z.int().nonnegative();

/** How its last hundred deliveries have fared; null where there is none. */
const pulse = z
  .object({
    /** The oldest first. */
    states: z.array(deliveryState),
    /** Milliseconds from the receipt of an event to its success: half of them, and 99 of 100. */
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable(),
    lastSuccessAt: time.nullable(),
  })
  .nullable();

const endpoint = row.extend({ pulse });

export const endpointRoutes = defineRoutes({
  "GET /endpoints": {
    summary: "List endpoints and how they fare",
    role: "viewer",
    query: z.object({ tenant: z.string().optional(), ...paging }),
    response: pageOf(endpoint),
  },
  "POST /endpoints": {
    summary: "Add an endpoint: its signing secret is in this answer",
    role: "operator",
    body: adminOperations["endpoints.add"].input,
    response: withSecret,
    secret: true,
  },
  "GET /endpoints/{id}": {
    summary: "An endpoint, how it fares and what it has missed",
    role: "viewer",
    path: id,
    response: endpoint,
  },
  "PATCH /endpoints/{id}": {
    summary: "Change what is set for an endpoint; what is left out stays",
    role: "operator",
    path: id,
    body: adminOperations["endpoints.update"].input.omit({ id: true }),
    response: row,
  },
  "DELETE /endpoints/{id}": {
    summary: "Forget an endpoint, and cancel what waits for it",
    role: "operator",
    path: id,
    response: z.object({ cancelled: count, left: count }),
  },
  "POST /endpoints/{id}/secret": {
    summary: "Show an endpoint's signing secret again; it stands in the audit log",
    role: "operator",
    path: id,
    response: z.object({ secret: z.string() }),
    secret: true,
  },
  "POST /endpoints/{id}/rotate": {
    summary: "Give an endpoint a new signing secret; the old one signs, too, for a while",
    role: "operator",
    path: id,
    body: z.object({
      overlapMs: z
        .int()
        .min(0)
        .max(365 * 86_400_000)
        .default(86_400_000),
      /** Also while the last rotation is under way: the secret before it then signs no longer. */
      force: z.boolean().default(false),
    }),
    response: withSecret,
    secret: true,
  },
  "POST /endpoints/{id}/pause": {
    summary: "Keep what an endpoint would get, until it is resumed",
    role: "operator",
    path: id,
    response: row,
  },
  "POST /endpoints/{id}/resume": {
    summary: "Let a paused, disabled or failing endpoint go on, at once",
    role: "operator",
    path: id,
    response: row,
  },
  "POST /endpoints/{id}/test": {
    summary: "Send a signed example to an endpoint now, and say what came back",
    role: "operator",
    path: id,
    body: adminOperations["endpoints.test"].input.omit({ id: true }),
    response: adminOperations["endpoints.test"].output,
  },
  "POST /endpoints/{id}/recover": {
    summary: "Deliver what an endpoint has missed: what is dead, and what was skipped while it was disabled",
    role: "operator",
    path: id,
    body: z.object({ since: time.optional() }),
    response: z.object({
      deliveries: count,
      /** What was not reached in time: ask again. */
      left: count,
    }),
  },
  "GET /endpoints/{id}/deliveries": {
    summary: "What was sent to an endpoint, the newest event first",
    role: "viewer",
    path: id,
    query: z.object({ state: deliveryState.optional(), ...paging }),
    response: pageOf(adminOperations["deliveries.list"].output),
  },
  "GET /endpoints/{id}/deliveries/{seq}": {
    summary: "One delivery to an endpoint, with its tries and what was answered",
    role: "viewer",
    path: id.extend({ seq: z.coerce.number().int().nonnegative() }),
    response: adminOperations["deliveries.show"].output.omit({ traceId: true }).extend({
      attemptLog: z.array(adminOperations["deliveries.show"].output.shape.attemptLog.element.omit({ traceId: true })),
    }),
  },
});
