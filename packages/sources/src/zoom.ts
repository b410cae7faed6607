import { createHmac } from "node:crypto";
import { defineSource, type SignedRequest, type Source, type Verification } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { isJsonObject, textAt } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface ZoomOptions extends SourceOptions {
  /** How far the signed time may be from ours, in seconds; 10,800 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/** Zoom tries again after 5, then 30, then 90 minutes, and does not say whether with a new time. What is replayed is a duplicate. */
const TOLERANCE_SECONDS = 10_800;

/**
 * Zoom: `x-zm-signature: v0=<hex>`, an HMAC-SHA256 of `v0:<seconds>:<body>` with the seconds of `x-zm-request-timestamp`,
 * keyed with the app's secret token. `endpoint.url_validation`, which Zoom sends first and then every 72 hours, is answered
 * by itself. Types are `zoom.meeting.started`; `data` is the whole body. Zoom gives no id: it is a hash of the body.
 *
 * https://developers.zoom.us/docs/api/webhooks/
 */
export function zoom(options: ZoomOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? TOLERANCE_SECONDS;
  return defineSource(
    {
      provider: "zoom",
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      verify: (request, secrets, now) =>
        withinTolerance(
          verify(request, secrets),
          request.header("x-zm-request-timestamp") ?? "",
          toleranceSeconds,
          now,
        ),
      handshake(request, { event, payload }, { signing }) {
        const plainToken = isJsonObject(payload) ? payload["plainToken"] : null;
        if (!request.verified || event !== "endpoint.url_validation" || typeof plainToken !== "string") return null;
        // While a secret is replaced, Zoom expects the one that it has signed with.
        const verification = verify(request, signing);
        const secret = verification.ok ? signing[verification.secretIndex] : undefined;
        if (secret === undefined) return null;
        const encryptedToken = createHmac("sha256", secret).update(plainToken).digest("hex");
        return { contentType: "application/json", body: JSON.stringify({ plainToken, encryptedToken }) };
      },
      identify({ body }, data) {
        const { event, event_ts: time, payload } = data;
        const { account_id: account, object } = isJsonObject(payload) ? payload : {};
        const about = isJsonObject(object) ? object : {};
        return {
          id: idOfBody(body),
          type: event,
          createdAt: time,
          subjects: [about["uuid"], textAt(body, data, ["payload", "object", "id"]), account],
        };
      },
    },
    options,
  );
}

function verify(request: SignedRequest, secrets: readonly string[]): Verification {
  const signature = request.header("x-zm-signature");
  const timestamp = request.header("x-zm-request-timestamp");
  if (!signature || !timestamp) return MISSING;
  if (!isTimestamp(timestamp)) return MALFORMED;
  const content = ["v0:", timestamp, ":", request.body];
  return verifyHmac({ signatures: [signature], prefix: "v0=", content }, secrets);
}
