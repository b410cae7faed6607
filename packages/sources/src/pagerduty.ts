import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * PagerDuty's webhooks v3: `X-PagerDuty-Signature: v1=<hex>,…`, an HMAC-SHA256 of the body for each of the subscription's
 * secrets. Id, type and time are those of `event`: `pagerduty.incident.triggered`; `data` is the whole body. PagerDuty signs
 * no time: deduplication is the defence against replay.
 *
 * https://developer.pagerduty.com/docs/verifying-signatures
 */
export function pagerduty(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "pagerduty",
      verify: ({ header, body }, secrets) =>
        verifyHmac({ signatures: [header("x-pagerduty-signature")], prefix: "v1=", content: [body] }, secrets),
      identify(_request, data) {
        const event = isJsonObject(data["event"]) ? data["event"] : {};
        const about = isJsonObject(event["data"]) ? event["data"] : {};
        const idOf = (name: string): unknown => (isJsonObject(about[name]) ? about[name]["id"] : null);
        return {
          id: event["id"],
          type: event["event_type"],
          createdAt: event["occurred_at"],
          // Of a note or a responder first the incident.
          subjects: [idOf("incident"), about["id"], idOf("service")],
        };
      },
    },
    options,
  );
}
