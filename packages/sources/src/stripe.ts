import { hmac } from "@penstock/schemas";
import { defineSource, type Source, type Verification } from "./define-source.ts";
import { hmacKey } from "./hmac-key.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkApiUrl } from "./reconciliation.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { stripeEvents } from "./stripe-events.ts";
import { isTimestamp, MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { MAX_SIGNATURES, verifyHmac } from "./verify-hmac.ts";

export interface StripeOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
  /** The id of the webhook endpoint at Stripe, `we_…`: `penstock reconcile` then looks for the events alone that it is to be sent. */
  readonly endpoint?: string;
  /** Where Stripe's API is; https://api.stripe.com unless given. */
  readonly apiUrl?: string;
}

/**
 * Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>,…` with an HMAC-SHA256 of `<seconds>.<body>`, keyed with the endpoint's
 * secret (`whsec_…`, as it is); while a secret is rolled there are several `v1`. Types are `stripe.charge.succeeded`, and
 * `data` is the whole event as Stripe's library types it. Each try of Stripe's is signed anew, so the tolerance refuses none.
 *
 * https://docs.stripe.com/webhooks#verify-manually
 */
export function stripe(options: StripeOptions = {}): Source {
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "stripe",
      whenSilent:
        "Stripe disables an endpoint that has failed for days, after a mail: look at Developers → Webhooks, and enable it again.",
      options: ["toleranceSeconds", "endpoint", "apiUrl"],
      problems: [
        ...checkTolerance(options?.toleranceSeconds),
        ...checkEndpoint(options?.endpoint),
        ...checkApiUrl(options?.apiUrl),
      ],
      reconcile: stripeEvents({ endpoint: options?.endpoint, apiUrl: options?.apiUrl }),
      verify(request, secrets, now) {
        const header = request.header("stripe-signature");
        if (header === undefined || header === "") return MISSING;
        const claims = claimsIn(header);
        if (claims.reduce((count, { signatures }) => count + signatures.length, 0) > MAX_SIGNATURES) return MALFORMED;
        const verifications = claims.map(({ timestamp, signatures }) => {
          if (signatures.length === 0 || !isTimestamp(timestamp)) return MALFORMED;
          const content = [timestamp, ".", request.body];
          return withinTolerance(verifyHmac({ signatures, content }, secrets), timestamp, toleranceSeconds, now);
        });
        const outcome = (reason: string): Verification | undefined =>
          verifications.find((one) => !one.ok && one.reason === reason);
        return (
          verifications.find(({ ok }) => ok) ??
          outcome("timestamp-out-of-tolerance") ??
          outcome("malformed-signature") ??
          verifications[0] ??
          MALFORMED
        );
      },
      sign(body, secret, now) {
        const time = String(Math.floor(now / 1_000));
        return { "stripe-signature": `t=${time},v1=${hmac("sha256", hmacKey(secret), [time, ".", body], "hex")}` };
      },
      signsTime: true,
      // `pending_webhooks` counts down from delivery to delivery.
      bodyVaries: true,
      identify(_request, { id, type, created, data, related_object: related }) {
        const object = isJsonObject(data) && isJsonObject(data["object"]) ? data["object"] : {};
        return {
          id,
          type,
          createdAt: created,
          subjects: [object["customer"], object["id"], isJsonObject(related) ? related["id"] : null],
        };
      },
    },
    options,
  );
}

function checkEndpoint(endpoint: unknown): string[] {
  const isFine = endpoint === undefined || (typeof endpoint === "string" && /^we_\w+$/.test(endpoint));
  return isFine ? [] : ["`endpoint` must be the id of a webhook endpoint at Stripe, we_…"];
}

interface Claim {
  readonly timestamp: string;
  readonly signatures: string[];
}

/** What a header claims: each `v1` belongs to the `t` before it, those before any to the first. Several headers come joined by ", ". */
function claimsIn(header: string): Claim[] {
  const claims: Claim[] = [];
  const first: string[] = [];
  for (const part of header.split(",")) {
    const [name = "", value = ""] = part.trim().split(/=(.*)/s);
    if (name === "t") claims.push({ timestamp: value, signatures: claims.length === 0 ? first : [] });
    else if (name === "v1") (claims.at(-1)?.signatures ?? first).push(value);
  }
  return claims;
}
