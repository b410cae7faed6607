import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject, parseJsonBody, toObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface LinearOptions extends SourceOptions {
  /** How far the signed time may be from ours, in seconds; 28,800 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/** Linear tries again after a minute, an hour and six hours; users have seen the first time in the later tries. */
const TOLERANCE_SECONDS = 28_800;

/**
 * Linear: `Linear-Signature`, an HMAC-SHA256 of the body in hex; the signed time is `webhookTimestamp` in it.
 * The id is `Linear-Delivery`, which is not signed. Types are resource and action, `linear.Issue.create`; `data` is the whole body.
 *
 * https://linear.app/developers/webhooks
 */
export function linear(options: LinearOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? TOLERANCE_SECONDS;
  return defineSource(
    {
      provider: "linear",
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      keepsHeaders: ["linear-delivery", "linear-event"],
      bodyVaries: true,
      verify({ header, body }, secrets, now) {
        const verification = verifyHmac({ signatures: [header("linear-signature")], content: [body] }, secrets);
        if (!verification.ok) return verification;
        const { webhookTimestamp } = toObject(parseJsonBody(body));
        // Linear's own library takes a body without a time, too.
        if (typeof webhookTimestamp !== "number") return verification;
        return withinTolerance(verification, String(webhookTimestamp), toleranceSeconds, now);
      },
      identify({ header }, { type, action, createdAt, data, organizationId }) {
        const resource = isJsonObject(data) ? data : {};
        return {
          id: header("linear-delivery"),
          type: typeof type === "string" && typeof action === "string" ? `${type}.${action}` : type,
          createdAt,
          subjects: [resource["id"], resource["identifier"], resource["issueId"], organizationId],
        };
      },
    },
    options,
  );
}
