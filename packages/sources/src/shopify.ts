import { defineSource, type SignedRequest, type Source } from "./define-source.ts";
import { textAt } from "./parse-body.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * Shopify: `Shopify-Hmac-Sha256`, an HMAC-SHA256 of the body in base64, keyed with the app's client secret. The id is
 * `Shopify-Webhook-Id`, which stays the same over retries, the type the topic: `shopify.orders/create`. `data` is the
 * resource. The shop stands in a header only, so shops that have to be told apart are sources of their own.
 *
 * The same headers with `X-` in front are those of older webhooks; where both are there the new one counts alone, as it
 * does for Shopify's libraries. All but the signature are unsigned, the id included, so a replay under another id is another event.
 *
 * https://shopify.dev/docs/apps/build/webhooks/delivery-structure
 */
export function shopify(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "shopify",
      whenSilent:
        "Shopify deletes a subscription whose deliveries fail 8 times in a row: see whether it is still there, and subscribe again.",
      keepsHeaders: ["topic", "shop-domain", "event-id"].flatMap((name) => [`shopify-${name}`, `x-shopify-${name}`]),
      verify: (request, secrets) =>
        verifyHmac(
          { signatures: [header(request, "hmac-sha256")], encoding: "base64", content: [request.body] },
          secrets,
        ),
      identify: (request, data) => ({
        id: header(request, "webhook-id") || header(request, "event-id"),
        type: header(request, "topic"),
        createdAt: header(request, "triggered-at"),
        subjects: [data["admin_graphql_api_id"] ?? textAt(request.body, data, ["id"]), header(request, "shop-domain")],
      }),
    },
    options,
  );
}

function header(request: SignedRequest, name: string): string | undefined {
  return request.header(`shopify-${name}`) || request.header(`x-shopify-${name}`);
}
