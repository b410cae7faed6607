import { z } from "zod";
import { SUBJECT_ERASED } from "./erased.ts";
import { ISSUE_OPENED } from "./issue.ts";

/** What every id of an endpoint begins with. No name of a handler does, and both name subscribers of deliveries. */
export const ENDPOINT_PREFIX = "ep_";

/** True for what names an endpoint and not a handler. */
export function isEndpointId(subscriber: string): boolean {
  return subscriber.startsWith(ENDPOINT_PREFIX);
}

/** The event types of an endpoint that wants all that sources send; {@link OWN_EVENT_TYPES} have to be asked for. */
export const ALL_TYPES = "*";

/** The source of Penstock's own events, and their types. */
export const OWN_SOURCE = "penstock";
export const OWN_EVENT_TYPES = ["endpoint.disabled", ISSUE_OPENED, SUBJECT_ERASED] as const;

/** Why an endpoint that is disabled did not get an event, as its delivery tells; it can be recovered. */
export const SKIPPED_WHILE_DISABLED = "its endpoint was disabled";

/** What has happened to an endpoint that was disabled: the data of `endpoint.disabled`. */
export const endpointDisabledSchema = z.looseObject({
  endpointId: z.string(),
  url: z.string(),
  tenant: z.string().nullable(),
  /** In words for people. */
  reason: z.string(),
  /** Deliveries that failed in a row. */
  failures: z.int().nonnegative(),
  /** Since when; ISO 8601. */
  failingSince: z.string().nullable(),
});

export type EndpointDisabled = z.infer<typeof endpointDisabledSchema>;

const PATH = /^(?:id|type|source|data(?:\.[^.\s]+)+)$/;
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
/** What the sender or HTTP itself sets. */
const TAKEN_HEADER =
  /^(?:host|connection|content-.*|transfer-encoding|keep-alive|upgrade|te|trailer|expect|user-agent|date|accept.*|cookie|authorization|proxy-.*|webhook-.*|traceparent|tracestate|http2-settings)$/i;

const MUST_BE_A_PATH = {
  error: "must name a field of the event: data.<field>, with dots for what lies deeper, or id, type or source",
};

/** What is set for an endpoint; its URL is judged by the SSRF guard, too. */
export const endpointSettingsSchema = z.strictObject({
  url: z.string().max(2_048, { error: "must have 2,048 characters at most" }),
  description: z.string().max(500).nullable(),
  /** Whose it is, where several share an installation: a label to list by. */
  tenant: z.string().max(200).nullable(),
  /** The event types that it gets; `["*"]`: all. */
  types: z
    .array(z.string().min(1).max(256))
    .min(1, { error: "must name at least one event type, or * for all" })
    .refine((types) => !types.includes(ALL_TYPES) || types.length === 1, { error: "must be * alone, or types" }),
  /** By path in the event, the values of which it must have one, as text; null: no filter. */
  filter: z
    .record(z.string(), z.array(z.string()).min(1))
    .refine((filter) => Object.keys(filter).every((key) => PATH.test(key)), MUST_BE_A_PATH)
    .nullable(),
  /** The path of the value whose events are delivered in order, one at a time; null: no order. */
  lane: z.string().regex(PATH, MUST_BE_A_PATH).nullable(),
  /**
   * The header that holds the hexadecimal HMAC of the body, whatever source an event came from; null: BuzzBip's events
   * have it in `X-BuzzBip-Signature`, others do not have it.
   */
  headerName: z
    .string()
    .regex(HEADER_NAME, { error: "must be the name of a header: letters, digits and hyphens" })
    .refine((name) => !TAKEN_HEADER.test(name), { error: "is a header with a meaning of its own: use another name" })
    .nullable(),
  /** Requests at once. */
  concurrency: z.int().min(1).max(256),
  /** Requests that begin per second; null: no limit. */
  ratePerSecond: z.int().min(1).max(100_000).nullable(),
  /** The waits between tries, in milliseconds; null: five of them, exponential with jitter. */
  scheduleMs: z
    .array(
      z
        .int()
        .min(0)
        .max(30 * 86_400_000, { error: "must be waits of 30d at most" }),
    )
    .max(50)
    .nullable(),
  /** It is disabled once it has failed for so long, in milliseconds, and ten times in a row. */
  disableAfterMs: z.int().min(1_000),
  /** It is disabled once it has failed so often in a row; null: by time alone. */
  disableAfterFailures: z.int().min(1).nullable(),
});

export type EndpointSettings = z.infer<typeof endpointSettingsSchema>;

/** What an endpoint has unless it is told otherwise. */
export const ENDPOINT_DEFAULTS = {
  description: null,
  tenant: null,
  types: [ALL_TYPES],
  filter: null,
  lane: null,
  headerName: null,
  concurrency: 10,
  ratePerSecond: null,
  scheduleMs: null,
  disableAfterMs: 5 * 86_400_000,
  disableAfterFailures: null,
} satisfies Omit<EndpointSettings, "url">;
