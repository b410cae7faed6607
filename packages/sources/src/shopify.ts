import { defineSource, type Source } from "./define-source.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * Shopify: `X-Shopify-Hmac-Sha256`, an HMAC-SHA256 of the body in base64, keyed with the app's client secret. The id is
 * `X-Shopify-Webhook-Id`, which stays the same over retries, the type the topic: `shopify.orders/create`. `data` is the
 * resource. The shop stands in a header only, so shops that have to be told apart are sources of their own.
 *
 * https://shopify.dev/docs/apps/build/webhooks/subscribe/https
 */
export function shopify(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "shopify",
      verify: (request, secrets) =>
        verifyHmac(
          { signatures: [request.header("x-shopify-hmac-sha256")], encoding: "base64", content: [request.body] },
          secrets,
        ),
      identify: (request, data) => ({
        id: request.header("x-shopify-webhook-id"),
        type: request.header("x-shopify-topic"),
        createdAt: request.header("x-shopify-triggered-at"),
        subjects: [data["admin_graphql_api_id"], request.header("x-shopify-shop-domain")],
      }),
    },
    options,
  );
}
