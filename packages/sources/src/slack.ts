import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface SlackOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/**
 * Slack's Events API: `X-Slack-Signature: v0=<hex>`, an HMAC-SHA256 of `v0:<seconds>:<body>` with the seconds of
 * `X-Slack-Request-Timestamp`, keyed with the app's signing secret. `url_verification` is answered by itself. Types are
 * those of the inner event, `slack.app_mention`; `data` is the whole body. Slash commands and interactivity, which want an
 * answer of their own, are not events: they go to quarantine.
 *
 * https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export function slack(options: SlackOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "slack",
      whenSilent:
        "Slack switches events off when nearly all deliveries of an hour fail: look at Event Subscriptions of the app, and enable them again.",
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      keepsHeaders: ["x-slack-retry-num", "x-slack-retry-reason"],
      verify(request, secrets, now) {
        const timestamp = request.header("x-slack-request-timestamp");
        const header = request.header("x-slack-signature");
        if (!header || !timestamp) return MISSING;
        if (!isTimestamp(timestamp)) return MALFORMED;
        const content = ["v0:", timestamp, ":", request.body];
        const verification = verifyHmac({ signatures: [header], prefix: "v0=", content }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      handshake: ({ verified }, { type, challenge }) =>
        verified && type === "url_verification" && typeof challenge === "string"
          ? { contentType: "text/plain", body: challenge }
          : null,
      identify(_request, { event_id: id, event_time: time, type, event }) {
        const inner = isJsonObject(event) ? event : {};
        return {
          id,
          type: type === "event_callback" ? inner["type"] : type,
          createdAt: time,
          subjects: [inner["channel"], inner["user"]],
        };
      },
    },
    options,
  );
}
