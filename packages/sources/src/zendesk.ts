import { parseCreatedAt } from "@penstock/schemas";
import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface ZendeskOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/**
 * Zendesk: `X-Zendesk-Webhook-Signature`, an HMAC-SHA256 in base64 of `X-Zendesk-Webhook-Signature-Timestamp` (ISO 8601) and
 * the body, keyed with the webhook's signing secret. An event has its own id and the type `zendesk.ticket.created`. What a
 * trigger or an automation sends has the body that was written there: its id is `X-Zendesk-Webhook-Invocation-Id`, and its
 * type `zendesk.webhook`. `data` is the whole body.
 *
 * https://developer.zendesk.com/documentation/webhooks/verifying/
 */
export function zendesk(options: ZendeskOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "zendesk",
      types: ["webhook"],
      keepsHeaders: ["x-zendesk-webhook-id", "x-zendesk-webhook-invocation-id"],
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      verify({ header, body }, secrets, now) {
        const signature = header("x-zendesk-webhook-signature");
        const timestamp = header("x-zendesk-webhook-signature-timestamp");
        if (!signature || !timestamp) return MISSING;
        if (parseCreatedAt(timestamp) === null) return MALFORMED;
        const content = [timestamp, body];
        const verification = verifyHmac({ signatures: [signature], encoding: "base64", content }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      identify({ header }, { id, type, time, subject, detail }) {
        const prefix = "zen:event-type:";
        if (typeof type !== "string" || !type.startsWith(prefix)) {
          return { id: header("x-zendesk-webhook-invocation-id"), type: "webhook" };
        }
        const about = isJsonObject(detail) ? detail["id"] : null;
        return { id, type: type.slice(prefix.length), createdAt: time, subjects: [about, subject] };
      },
    },
    options,
  );
}
