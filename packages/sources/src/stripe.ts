import { defineSource, type Source } from "./define-source.ts";
import { fromUnixSeconds } from "./identity.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { isTimestamp, MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface StripeOptions extends SourceOptions {
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
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
      options: ["toleranceSeconds"],
      problems: checkTolerance(options?.toleranceSeconds),
      verify(request, secrets, now) {
        const header = request.header("stripe-signature");
        if (header === undefined || header === "") return MISSING;
        const parts = header.split(",").map((part) => part.trim());
        const valuesOf = (name: string): string[] =>
          parts.flatMap((part) => (part.startsWith(`${name}=`) ? part.slice(name.length + 1) : []));
        const [timestamp, ...others] = valuesOf("t");
        if (timestamp === undefined || others.length > 0 || !isTimestamp(timestamp)) return MALFORMED;
        const signatures = valuesOf("v1");
        if (signatures.length === 0) return MALFORMED;
        const verification = verifyHmac({ signatures, content: [timestamp, ".", request.body] }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      identify(_request, { id, type, created, data }) {
        const object = isJsonObject(data) && isJsonObject(data["object"]) ? data["object"] : {};
        return { id, type, createdAt: fromUnixSeconds(created), subjects: [object["customer"], object["id"]] };
      },
    },
    options,
  );
}
