import { timingSafeEqual } from "node:crypto";
import {
  BUZZBIP_EVENT_TYPES,
  buzzbipEventSchemas,
  envelopeSchema,
  hmac,
  isBuzzBipEventType,
  parseCreatedAt,
} from "@penstock/schemas";
import { unreadable } from "./check-stored.ts";
import { decodeSignature } from "./decode-signature.ts";
import type { EventCheck, EventIdentity, SignedRequest, Source, StoredContent, Verification } from "./define-source.ts";
import { describeIssues } from "./describe-issues.ts";
import { hmacKey } from "./hmac-key.ts";
import { isKey, isSaid, unidentified } from "./identity.ts";
import { isJsonObject, parseJsonBody } from "./parse-body.ts";
import { readOptions, type SourceOptions } from "./source-options.ts";
import { MALFORMED, MISMATCH, MISSING } from "./verification.ts";
import { MAX_SIGNATURES } from "./verify-hmac.ts";

const SIGNATURE_HEADER = "X-BuzzBip-Signature";
const SIGNATURE_HEADER_LOWER = SIGNATURE_HEADER.toLowerCase();

/** The fields of `data` that name a subject, in the order of their rank: a contact's events are what must not overtake. */
const SUBJECT_FIELDS = ["contactId", "conversationId", "messageId", "workflowId"] as const;

/**
 * BuzzBip: the header `X-BuzzBip-Signature` is an HMAC-SHA256 of the raw body, keyed with the webhook's signing secret.
 * It is read in hex of either case, with or without `sha256=`, or in standard base64, and sent in lower-case hex. Of a list
 * of signatures, as it is sent while a secret is rotated, one right one will do.
 * BuzzBip signs no timestamp, so an old request stays valid: deduplication by event id is the defence against replay.
 *
 * Its types have no provider in front.
 *
 * @example
 * export default defineSources({ buzzbip: buzzbip(), "buzzbip-support": buzzbip({ ratePerSecond: 100 }) });
 */
export function buzzbip(options: SourceOptions = {}): Source {
  return Object.freeze({
    provider: "buzzbip",
    typePrefix: null,
    sendsEnvelope: true,
    plainSignatureHeader: SIGNATURE_HEADER,
    eventTypes: BUZZBIP_EVENT_TYPES,
    ...readOptions(options),
    verify,
    sign: signBuzzBip,
    signsTime: false,
    identify,
    acceptedStatus: 200,
    hasVerifyToken: false,
    handshake: null,
    split: null,
    check,
    checkSecret: () => null,
    whenSilent: "See in BuzzBip whether the webhook is still active and has this URL.",
    reconcile: null,
  });
}

/** The headers that BuzzBip would send with this body. */
export function signBuzzBip(body: Buffer, secret: string): Record<string, string> {
  return { [SIGNATURE_HEADER]: sign(body, secret) };
}

function verify(request: SignedRequest, secrets: readonly string[]): Verification {
  const signature = request.header(SIGNATURE_HEADER_LOWER);
  if (signature === undefined || signature === "") return MISSING;
  const claimed = decodeSignatures(signature);
  if (claimed.length === 0) return MALFORMED;

  // All secrets, even after one has matched: the time taken must not tell which are live.
  let secretIndex = -1;
  for (const [index, secret] of secrets.entries()) {
    expected.write(sign(request.body, secret), "hex");
    for (const one of claimed) {
      const matches = timingSafeEqual(one, expected);
      // An empty secret is one that everybody knows.
      if (matches && secret !== "" && secretIndex === -1) secretIndex = index;
    }
  }
  return secretIndex === -1 ? MISMATCH : { ok: true, secretIndex };
}

/** The signatures in the header, of which one has to be right: several are sent while a secret is rotated. */
function decodeSignatures(header: string): Buffer[] {
  const one = decodeSignature(header);
  if (one !== null) return [one];
  const list = header.split(/,[ \t]*/, MAX_SIGNATURES + 1);
  return list.length > MAX_SIGNATURES ? [] : list.flatMap((signature) => decodeSignature(signature) ?? []);
}

/** In hex: a string costs less than a small buffer of its own. */
function sign(body: Buffer, secret: string): string {
  return hmac("sha256", hmacKey(secret), [body], "hex");
}

/** What a signature is compared with; its content is of use within one call of `verify` only. */
const expected = Buffer.alloc(32);

function identify({ body }: SignedRequest): EventIdentity {
  const parsed = parseJsonBody(body);
  if (!parsed.ok) return unidentified(parsed.problem);
  if (!isJsonObject(parsed.value)) return unidentified("no-envelope");

  const { id: sentId, type: sentType, createdAt, data } = parsed.value;
  const id = typeof sentId === "string" && sentId !== "" ? sentId : null;
  const type = isKey(sentType) ? sentType : null;
  const time = parseCreatedAt(createdAt);
  return {
    id,
    type,
    createdAt: time,
    timeUnread: time === null && isSaid(createdAt),
    subjects: isJsonObject(data) ? SUBJECT_FIELDS.map((field) => data[field]).filter(isKey) : [],
    problem: id === null || type === null ? "no-envelope" : null,
  };
}

function check({ body }: Pick<StoredContent, "body">): EventCheck {
  const parsed = parseJsonBody(body);
  if (!parsed.ok) return unreadable(parsed.problem);
  const type = isJsonObject(parsed.value) ? parsed.value["type"] : undefined;
  if (typeof type === "string" && type !== "" && !isBuzzBipEventType(type)) {
    return { ok: false, reason: "unknown-type", detail: "type: BuzzBip documents no event of this type" };
  }
  const schema = typeof type === "string" && isBuzzBipEventType(type) ? buzzbipEventSchemas[type] : envelopeSchema;
  const result = schema.safeParse(parsed.value);
  if (result.success) return { ok: true, event: result.data };
  return { ok: false, reason: "invalid-shape", detail: describeIssues(result.error.issues) };
}
