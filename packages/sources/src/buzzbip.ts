import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import {
  BUZZBIP_EVENT_TYPES,
  buzzbipEventSchemas,
  envelopeSchema,
  isBuzzBipEventType,
  isStorableText,
  parseCreatedAt,
} from "@penstock/schemas";
import { decodeSignature } from "./decode-signature.ts";
import { describeIssues } from "./describe-issues.ts";
import {
  defineSource,
  type EventCheck,
  type EventIdentity,
  type EventProblem,
  type SignedRequest,
  type Verification,
} from "./define-source.ts";
import { isJsonObject, parseJsonBody } from "./parse-json-body.ts";

const SIGNATURE_HEADER = "X-BuzzBip-Signature";
const SIGNATURE_HEADER_LOWER = SIGNATURE_HEADER.toLowerCase();

/** The fields of `data` that name a subject, in the order of their rank: a contact's events are what must not overtake. */
const SUBJECT_FIELDS = ["contactId", "conversationId", "messageId", "workflowId"] as const;

/** The longest type or subject that is kept for sorting and search, in UTF-16 code units: an index refuses long keys. */
const MAX_KEY_LENGTH = 256;

const MISSING: Verification = Object.freeze({ ok: false, reason: "missing-signature" });
const MALFORMED: Verification = Object.freeze({ ok: false, reason: "malformed-signature" });
const MISMATCH: Verification = Object.freeze({ ok: false, reason: "mismatch" });

/**
 * BuzzBip: the header `X-BuzzBip-Signature` is an HMAC-SHA256 of the raw body, keyed with the webhook's signing secret.
 * It is read in hex of either case, with or without `sha256=`, or in standard base64, and sent in lower-case hex.
 * BuzzBip signs no timestamp, so an old request stays valid: deduplication by event id is the defence against replay.
 *
 * @example
 * const headers = buzzbip.sign(body, secret);
 * buzzbip.verify({ header: (name) => request.headers[name], body }, [secret]); // { ok: true, secretIndex: 0 }
 */
export const buzzbip = defineSource({
  provider: "buzzbip",
  eventTypes: BUZZBIP_EVENT_TYPES,
  verify,
  sign,
  identify,
  check,
});

function verify(request: SignedRequest, secrets: readonly string[]): Verification {
  const signature = request.header(SIGNATURE_HEADER_LOWER);
  if (signature === undefined || signature === "") return MISSING;
  const claimed = decodeSignature(signature);
  if (claimed === null) return MALFORMED;

  // All secrets, even after one has matched: the time taken must not tell which are live.
  let secretIndex = -1;
  for (const [index, secret] of secrets.entries()) {
    expected.write(hmac(request.body, secret), "hex");
    const matches = timingSafeEqual(claimed, expected);
    // An empty secret is one that everybody knows.
    if (matches && secret !== "" && secretIndex === -1) secretIndex = index;
  }
  return secretIndex === -1 ? MISMATCH : { ok: true, secretIndex };
}

function sign(body: Buffer, secret: string): Record<string, string> {
  return { [SIGNATURE_HEADER]: hmac(body, secret) };
}

/** In hex: a string costs less than a small buffer of its own. */
function hmac(body: Buffer, secret: string): string {
  return createHmac("sha256", keyOf(secret)).update(body).digest("hex");
}

/** What a signature is compared with; its content is of use within one call of `verify` only. */
const expected = Buffer.alloc(32);

// Live secrets are few and every request needs them all: made into keys once. Secrets of no use any more are few, too.
const keys = new Map<string, KeyObject>();

function keyOf(secret: string): KeyObject {
  let key = keys.get(secret);
  if (key === undefined) keys.set(secret, (key = createSecretKey(secret, "utf8")));
  return key;
}

function identify(body: Buffer): EventIdentity {
  const parsed = parseJsonBody(body);
  if (!parsed.ok) return unidentified(parsed.problem);
  if (!isJsonObject(parsed.value)) return unidentified("no-envelope");

  const { id: sentId, type: sentType, createdAt, data } = parsed.value;
  const id = typeof sentId === "string" && sentId !== "" ? sentId : null;
  const type = isKey(sentType) ? sentType : null;
  return {
    id,
    type,
    createdAt: parseCreatedAt(createdAt),
    subjects: isJsonObject(data) ? SUBJECT_FIELDS.map((field) => data[field]).filter(isKey) : [],
    problem: id === null || type === null ? "no-envelope" : null,
  };
}

function unidentified(problem: EventProblem): EventIdentity {
  return { id: null, type: null, createdAt: null, subjects: [], problem };
}

function isKey(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_KEY_LENGTH && isStorableText(value);
}

function check(body: Buffer): EventCheck {
  const parsed = parseJsonBody(body);
  if (!parsed.ok) {
    const detail = parsed.problem === "not-utf8" ? "the body is not UTF-8" : "the body is not JSON";
    return { ok: false, reason: "invalid-shape", detail };
  }
  const type = isJsonObject(parsed.value) ? parsed.value["type"] : undefined;
  if (typeof type === "string" && type !== "" && !isBuzzBipEventType(type)) {
    return { ok: false, reason: "unknown-type", detail: "type: BuzzBip documents no event of this type" };
  }
  const schema = typeof type === "string" && isBuzzBipEventType(type) ? buzzbipEventSchemas[type] : envelopeSchema;
  const result = schema.safeParse(parsed.value);
  if (result.success) return { ok: true, event: result.data };
  return { ok: false, reason: "invalid-shape", detail: describeIssues(result.error.issues) };
}
