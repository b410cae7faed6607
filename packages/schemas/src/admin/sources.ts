import { z } from "zod";
import { deliveryState } from "../admin.ts";
import { errorMessage, headerValue } from "../masked.ts";
import { defineRoutes } from "./contract.ts";
import { pageOf, paging, time } from "./values.ts";

const count = z.int().nonnegative();
const name = z.string().max(63);
const fingerprint = z.string().regex(/^[0-9a-f]{8}$/);

const secret = z.object({
  /** Tells secrets apart, and tells nothing of them. */
  fingerprint: z.string(),
  /** In the database, sealed. */
  kept: z.boolean(),
  /** In the environment of an ingest that runs. */
  inEnvironment: z.boolean(),
  addedAt: time,
  /** From then on what is signed with it is refused; null: no end is set. */
  endsAt: time.nullable(),
  /** When it last verified a request, within seconds; null: never. */
  usedAt: time.nullable(),
  /** It has ended, and still stands in the environment. */
  ended: z.boolean(),
});

const sourceSecret = secret.extend({ source: z.string() });

const source = z.object({
  name: z.string(),
  provider: z.string(),
  /** What to enter at the provider, where ingest is reached as this machine reaches it. */
  url: z.string(),
  /** The variable of ingest that holds its secrets. */
  secretsFrom: z.string(),
  secrets: z.array(secret),
  /** Within seconds; null: never. */
  lastEventAt: time.nullable(),
  lastRefusedAt: time.nullable(),
  /** How many of its requests were refused in all. */
  refused: count,
  silence: z.object({
    /** Whether it sends what it usually sends. `unheard`: no ingest listens; `unwatched`: its settings let it be silent. */
    state: z.enum(["sends", "silent", "learning", "new", "unheard", "unwatched"]),
    /** How many requests it sent at least in other weeks, in the hours in which none came now; null: not learnt. */
    usual: count.nullable(),
    /** From when on enough weeks are known to tell; null where that is not waited for. */
    learnsUntil: time.nullable(),
    /** What its settings say; null: it is learnt, or never. */
    silentAfterMs: count.nullable(),
    /** Where to look once it is silent; null: its source does not say. */
    advice: z.string().nullable(),
  }),
  /** Whether the composer can sign as its provider does, and whether that covers the time. */
  canSign: z.boolean(),
  signsTime: z.boolean(),
});

const refusedRequest = z.object({
  id: count,
  source: z.string(),
  at: time,
  reason: z.string(),
  status: z.int(),
  address: z.string(),
  method: z.string(),
  /** With the names of its query, without their values. */
  path: z.string(),
  /** Those that the source asks for; their values are masked for those who may not see payloads. */
  headers: z.record(z.string(), headerValue),
  findings: z.array(z.string()),
  bodyBytes: count.nullable(),
  bodySha256: z.string().nullable(),
  hasBody: z.boolean(),
  /** How many others of the source were refused since the one before and are not kept. */
  leftOut: count,
});

export const WAYS_TO_SEND = ["signed", "unsigned", "tampered", "old"] as const;

export const sourceRoutes = defineRoutes({
  "GET /sources": {
    summary: "Who may send, with which secrets, and when each was last heard of",
    role: "viewer",
    response: z.object({ items: z.array(source) }),
  },
  "GET /source-secrets": {
    summary: "The secrets of a source, or of all, also of those that are listed no more",
    role: "viewer",
    query: z.object({ source: name.optional() }),
    response: z.object({ items: z.array(sourceSecret) }),
  },
  "POST /sources/{name}/secrets": {
    summary: "Add a signing secret, or rotate to it: others then end after a while",
    role: "admin",
    path: z.object({ name }),
    body: z.object({
      /** Without it one is made, and is in the answer. */
      secret: z.string().trim().min(1).max(4_096).optional(),
      /** How long all others count, too, in milliseconds; null: without an end. */
      endOthersInMs: z
        .int()
        .min(0)
        .max(365 * 86_400_000)
        .nullable()
        .default(null),
    }),
    response: z.object({ fingerprint: z.string(), secret: z.string().nullable() }),
    secret: true,
  },
  "DELETE /sources/{name}/secrets/{fingerprint}": {
    summary: "Refuse from now on what is signed with a secret",
    role: "admin",
    path: z.object({ name, fingerprint }),
    response: null,
  },
  "POST /sources/{name}/secrets/{fingerprint}/reveal": {
    summary: "Show a secret of the database; the audit log tells who was shown it",
    role: "admin",
    path: z.object({ name, fingerprint }),
    response: z.object({ secret: z.string() }),
    secret: true,
  },
  "GET /refused-requests": {
    summary: "The last requests that were refused, and why",
    role: "viewer",
    query: z.object({ source: name.optional(), ...paging }),
    response: pageOf(refusedRequest),
  },
});

export const composerRoutes = defineRoutes({
  "GET /composer/sample": {
    summary: "A body as a source's provider could send it",
    role: "operator",
    query: z.object({ source: name, type: z.string().max(256).optional() }),
    response: z.object({ body: z.string(), type: z.string().nullable(), types: z.array(z.string()) }),
  },
  "POST /composer": {
    summary: "Send a request to ingest as a provider would, or as one that is to be refused",
    role: "operator",
    body: z.object({ source: name, body: z.string().max(1_048_576), way: z.enum(WAYS_TO_SEND) }),
    response: z.object({
      status: z.int(),
      answer: z.string(),
      tookMs: z.number(),
      /** What was sent beside the body. */
      headers: z.record(z.string(), z.string()),
      /** The id by which the event is found, once it was accepted; null: it was refused, or has none. */
      eventId: z.string().nullable(),
      /** The newest refused request of the source before this one; 0: none is kept. */
      refusedBefore: count,
    }),
  },
  "GET /composer/outcome": {
    summary: "What became of an event",
    role: "viewer",
    query: z.object({ source: name, eventId: z.string().max(2_000) }),
    response: z.object({
      /** Null: it is not found yet. */
      event: z
        .object({
          seq: count,
          status: z.enum(["pending", "processed", "quarantined"]),
          quarantine: z.object({ reason: z.string(), detail: errorMessage.nullable() }).nullable(),
          deliveries: z.array(z.object({ subscriber: z.string(), state: deliveryState, attempts: count })),
        })
        .nullable(),
    }),
  },
});
