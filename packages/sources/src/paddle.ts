import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISSING, signaturesIn, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface PaddleOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/**
 * Paddle Billing: `Paddle-Signature: ts=<seconds>;h1=<hex>` with an HMAC-SHA256 of `<seconds>:<body>`, keyed with the secret
 * of the notification destination (`pdl_ntfset_…`, as it is); while it is replaced there are several `h1`. The id is
 * `event_id`, which stays the same where `notification_id` does not. Types are `paddle.transaction.completed`, and `data`
 * is the whole notification.
 *
 * https://developer.paddle.com/webhooks/about/signature-verification
 */
export function paddle(options: PaddleOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "paddle",
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      bodyVaries: true,
      verify(request, secrets, now) {
        const header = request.header("paddle-signature");
        if (!header) return MISSING;
        const [timestamp, ...others] = new Set(signaturesIn(header, "ts="));
        if (timestamp === undefined || others.length > 0 || !isTimestamp(timestamp)) return MALFORMED;
        const content = [timestamp, ":", request.body];
        const verification = verifyHmac({ signatures: [header], prefix: "h1=", content }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      identify(_request, { event_id: id, event_type: type, occurred_at: createdAt, data }) {
        const entity = isJsonObject(data) ? data : {};
        return { id, type, createdAt, subjects: [entity["customer_id"], entity["id"], entity["subscription_id"]] };
      },
    },
    options,
  );
}
