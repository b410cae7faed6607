import { createPublicKey } from "node:crypto";
import { defineSource, type Source } from "./define-source.ts";
import { itemsOfBody } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isWholeTimestamp, MALFORMED, MISSING, signaturesIn, withinTolerance } from "./verification.ts";
import { keepKeys, verifyPublicKey } from "./verify-public-key.ts";

export interface SendGridOptions extends SourceOptions {
  /** How far the signed time may be from ours, in seconds; 0 for any unless given: SendGrid tries again for a day. */
  readonly toleranceSeconds?: number;
}

/**
 * Twilio SendGrid's Event Webhook, signed: `X-Twilio-Email-Event-Webhook-Signature`, an ECDSA signature (P-256, SHA-256) in
 * base64 over the seconds of `X-Twilio-Email-Event-Webhook-Timestamp` and the body; the secret is the verification key that
 * SendGrid shows, in base64. Each event of a request is one of its own: the id is `sg_event_id`, the type
 * `sendgrid.delivered`, and `data` the event.
 *
 * https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
 */
export function sendgrid(options: SendGridOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 0;
  return defineSource(
    {
      provider: "sendgrid",
      types: TYPES,
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      verify({ header, body }, secrets, now) {
        const signature = header("x-twilio-email-event-webhook-signature");
        const timestamp = header("x-twilio-email-event-webhook-timestamp");
        if (!signature || !timestamp) return MISSING;
        if (!isWholeTimestamp(timestamp)) return MALFORMED;
        const signatures = signaturesIn(signature).flatMap((one) => toSignature(one) ?? []);
        const claim = { signatures, digest: "sha256", content: [timestamp, body], keyOf } as const;
        return withinTolerance(verifyPublicKey(claim, secrets), timestamp, toleranceSeconds, now);
      },
      split: ({ body }) => itemsOfBody(body),
      identify: (_request, { sg_event_id: id, event: type, timestamp, email, sg_message_id: message }) => ({
        id,
        type,
        createdAt: timestamp,
        subjects: [email, message],
      }),
      checkSecret: (secret) =>
        keyOf(secret) === null ? "must be the verification key that SendGrid shows, in base64" : null,
    },
    options,
  );
}

const TYPES = [
  "processed",
  "deferred",
  "delivered",
  "bounce",
  "dropped",
  "open",
  "click",
  "spamreport",
  "unsubscribe",
  "group_unsubscribe",
  "group_resubscribe",
];

/** A sequence in DER of two integers: 8 to 72 bytes. */
function toSignature(base64: string): Buffer | null {
  if (base64.length > 96 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return null;
  const bytes = Buffer.from(base64, "base64");
  // Bits of the last character that mean nothing would make several signatures of one.
  return bytes.toString("base64") === base64 && bytes[0] === 0x30 && bytes.length >= 8 ? bytes : null;
}

const keyOf = keepKeys((secret) => {
  const key = createPublicKey({ key: Buffer.from(secret, "base64"), format: "der", type: "spki" });
  return key.asymmetricKeyDetails?.namedCurve === "prime256v1" ? key : null;
});
