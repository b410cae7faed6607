import { z } from "zod";
import { BUZZBIP_EVENT_TYPES } from "./buzzbip.ts";
import { endpointSettingsSchema } from "./endpoint.ts";
import { errorLine, errorMessage } from "./masked.ts";

// Strict, so that what is added to an answer is added here, too: the CLI's tests parse what `--json` prints with these.

/** ISO 8601, with milliseconds or finer. */
const time = z.iso.datetime({ offset: true });
/** `YYYY-MM-DD`, in UTC. */
const day = z.iso.date();
const count = z.int().nonnegative();
/** `00-<trace id>-<span id>-<flags>` of W3C Trace Context; `00` where no trace was sampled. */
const traceparent = z.string().nullable();
const traceId = z.string().nullable();

export const deliveryState = z.enum(["pending", "running", "succeeded", "retrying", "dead", "skipped", "cancelled"]);

/** An endpoint as operators see it: all but its secret. */
const endpointRow = endpointSettingsSchema.extend({
  id: z.string(),
  status: z.enum(["active", "failing", "paused", "disabled"]),
  createdAt: time,
  /** Until when the secret before this one signs, too; null when there is none. */
  previousSecretUntil: time.nullable(),
  /** Deliveries that failed in a row. */
  failures: count,
  failingSince: time.nullable(),
  /** It stays once the endpoint has recovered. */
  lastError: errorLine.nullable(),
  /** Null where it is not known. */
  lastErrorAt: time.nullable(),
  /** When its circuit becomes half open; null while the circuit is closed. */
  nextTryAt: time.nullable(),
  pausedAt: time.nullable(),
  disabledAt: time.nullable(),
  disabledReason: z.string().nullable(),
  /** By state, of each up to 1,000. */
  deliveries: z.strictObject({ pending: count, running: count, retrying: count, dead: count, skipped: count }),
  /** Dead letters, and what was skipped while it was disabled; up to 1,000. */
  missed: count,
});

/** An endpoint with the secret that was made for it, which is told only then and when it is asked for. */
const endpointWithSecret = endpointRow.extend({ secret: z.string() });

/** What came back of a test, `ok` for a 2xx. */
const testAnswer = z.discriminatedUnion("answered", [
  z.strictObject({
    endpoint: z.string(),
    ok: z.boolean(),
    answered: z.literal(true),
    status: z.int(),
    /** Its beginning, what cannot be seen escaped. */
    body: z.string(),
    retryAfterMs: z.number().nonnegative().nullable(),
    durationMs: z.number().nonnegative(),
  }),
  z.strictObject({
    endpoint: z.string(),
    ok: z.literal(false),
    answered: z.literal(false),
    /** TIMEOUT, REFUSED_ADDRESS, or what the system says: ECONNREFUSED, ENOTFOUND … */
    code: z.string(),
    /** Of the SSRF guard, with REFUSED_ADDRESS. */
    rule: z.string().optional(),
    message: z.string(),
    durationMs: z.number().nonnegative(),
  }),
]);

/** A delivery, without its attempts. */
export const deliveryRow = z.strictObject({
  day,
  seq: count,
  /** The name of a handler, or the id of an endpoint. */
  subscriber: z.string(),
  eventId: z.string().nullable(),
  type: z.string().nullable(),
  source: z.string(),
  state: deliveryState,
  attempts: count,
  /** Not before the circuit of its endpoint is half open. */
  nextAttemptAt: time.nullable(),
  /** What keeps it from being started though it is due. */
  heldBy: z.enum(["paused", "disabled"]).nullable(),
  receivedAt: time,
  changedAt: time,
  /** Of the last attempt that failed. */
  error: errorLine.nullable(),
  lane: z.string().nullable(),
  late: z.boolean(),
  skipReason: z.string().nullable(),
  replay: z.string().nullable(),
  generation: count,
});

export const deliveryDetail = deliveryRow.extend({
  traceparent,
  traceId,
  /** Of its handler or endpoint. */
  handlerPausedAt: time.nullable(),
  /** The head of its lane, where that is another one. */
  waitsFor: z
    .strictObject({
      day,
      seq: count,
      subscriber: z.string(),
      eventId: z.string().nullable(),
      state: deliveryState,
      attempts: count,
      nextAttemptAt: time.nullable(),
    })
    .nullable(),
  /** Tries, and what operators and lanes did in between; oldest first. */
  attemptLog: z.array(
    z.strictObject({
      attempt: count,
      startedAt: time.nullable(),
      endedAt: time,
      outcome: z.string(),
      errorClass: z.string().nullable(),
      errorMessage: errorMessage.nullable(),
      worker: z.string().nullable(),
      traceparent,
      traceId,
      replay: z.string().nullable(),
      note: z.string().nullable(),
    }),
  ),
});

/** An event without its body. */
export const eventRow = z.strictObject({
  seq: count,
  day,
  source: z.string(),
  id: z.string().nullable(),
  type: z.string().nullable(),
  status: z.enum(["pending", "processed", "quarantined"]),
  receivedAt: time,
  createdAt: time.nullable(),
  bytes: count,
  quarantine: z
    .strictObject({ reason: z.string(), detail: errorMessage.nullable(), dismissedAt: time.nullable() })
    .nullable(),
  mendedBy: z.strictObject({ seq: count, id: z.string().nullable() }).nullable(),
  deliveries: z.array(
    z.strictObject({
      subscriber: z.string(),
      state: deliveryState,
      attempts: count,
      nextAttemptAt: time.nullable(),
      heldBy: z.enum(["paused", "disabled"]).nullable(),
      late: z.boolean(),
    }),
  ),
  /** When it was erased, and who had asked for that: nothing of its body is left. */
  erased: z.strictObject({ at: z.iso.datetime({ offset: true }), by: z.string(), erasure: count }).nullable(),
  madeBy: z.strictObject({ replay: z.string(), of: count }).nullable(),
});

export const eventAttempt = z.strictObject({
  subscriber: z.string(),
  attempt: count,
  startedAt: time,
  endedAt: time,
  outcome: z.string(),
  errorClass: z.string().nullable(),
  errorMessage: errorMessage.nullable(),
  worker: z.string(),
  replay: z.string().nullable(),
});

const eventDetail = eventRow.extend({
  subjects: z.array(z.string()),
  attempts: z.array(eventAttempt),
  traceparent,
  traceId,
  bodyEncoding: z.enum(["utf8", "base64"]),
  body: z.string(),
});

const handlerRow = z.strictObject({
  name: z.string(),
  kind: z.enum(["transactional", "effect"]),
  types: z.array(z.string()),
  /** From then on every accepted event of these types gets a delivery; null while it is being registered. */
  registeredAt: time.nullable(),
  seenAt: time,
  pausedAt: time.nullable(),
  /** By state, of each up to 10,001: more are not counted. */
  deliveries: z.strictObject({ pending: count, running: count, retrying: count, dead: count }),
});

const byId = z.strictObject({ id: z.string() });
/** Which deliveries or events; what is left out is not asked for. */
const filter = z.strictObject({
  source: z.string().optional(),
  type: z.string().optional(),
  handler: z.string().optional(),
  state: deliveryState.optional(),
  since: time.optional(),
  until: time.optional(),
  subject: z.string().optional(),
  /** An event's id, or its seq: `7`, or `seq:7`, also where the id of another is 7. */
  event: z.string().optional(),
});
const list = filter.extend({ limit: z.int().min(1).max(10_000).optional() });

/** After a stop: how many were not reached, counted up to ten thousand or so. */
const left = { left: count.optional() };

function change<Change extends string>(name: Change) {
  return { input: filter, output: z.strictObject({ change: z.literal(name), deliveries: count, ...left }) };
}

function pause(paused: boolean) {
  const output = z.strictObject({
    handler: z.string(),
    paused: z.literal(paused),
    changed: z.boolean(),
    since: time.nullable(),
  });
  return { input: z.strictObject({ name: z.string() }), output };
}

/**
 * What operators do, by noun and verb as the command line has it: what is asked for, and one of what is answered (a list
 * answers with several). `penstock <noun> <verb> --json` prints just these.
 *
 * @example
 * const { url } = adminOperations["endpoints.show"].output.parse(JSON.parse(line));
 */
export const adminOperations = {
  "endpoints.add": { input: endpointSettingsSchema.partial().required({ url: true }), output: endpointWithSecret },
  "endpoints.list": { input: z.strictObject({ tenant: z.string().optional() }), output: endpointRow },
  "endpoints.show": { input: byId, output: endpointRow },
  "endpoints.update": { input: endpointSettingsSchema.partial().extend(byId.shape), output: endpointRow },
  "endpoints.rotate": {
    input: byId.extend({ overlapMs: z.number().nonnegative().optional() }),
    output: endpointWithSecret,
  },
  "endpoints.reseal": {
    input: z.strictObject({}),
    output: z.strictObject({ endpoints: count, keyId: z.string() }),
  },
  "endpoints.pause": { input: byId, output: endpointRow },
  "endpoints.resume": { input: byId, output: endpointRow },
  "endpoints.recover": {
    input: byId.extend({ since: time.optional() }),
    output: z.strictObject({ endpoint: z.string(), deliveries: count, ...left }),
  },
  "endpoints.test": { input: byId.extend({ type: z.enum(BUZZBIP_EVENT_TYPES).optional() }), output: testAnswer },
  "endpoints.delete": { input: byId, output: z.strictObject({ endpoint: z.string(), cancelled: count, ...left }) },
  "deliveries.list": { input: list, output: deliveryRow },
  "deliveries.show": {
    input: z.strictObject({ event: z.string(), handler: z.string().optional() }),
    output: deliveryDetail,
  },
  "deliveries.retry": change("retry"),
  "deliveries.skip": change("skip"),
  "deliveries.cancel": change("cancel"),
  "events.list": { input: list.extend({ status: eventRow.shape.status.optional() }), output: eventRow },
  "events.show": { input: byId, output: eventDetail },
  "handlers.list": { input: z.strictObject({}), output: handlerRow },
  "handlers.pause": pause(true),
  "handlers.resume": pause(false),
} as const;

export type AdminOperation = keyof typeof adminOperations;
/** What an operation is asked with. */
export type AdminInput<Operation extends AdminOperation> = z.input<(typeof adminOperations)[Operation]["input"]>;
/** What it answers with, or one of them. */
export type AdminOutput<Operation extends AdminOperation> = z.output<(typeof adminOperations)[Operation]["output"]>;
