import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkUrl, urlOf } from "./request-url.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface SquareOptions extends SourceOptions {
  /**
   * The notification URL that Square was given, without its query: `https://hooks.example.com/webhooks/square`. The
   * signature covers it; `https://`, the request's host and its path unless given.
   */
  readonly url?: string;
}

/**
 * Square: `x-square-hmacsha256-signature`, an HMAC-SHA256 in base64 of the notification URL and the body, keyed with the
 * subscription's signature key. The id is `event_id`, the same over retries. Types are `square.payment.updated`; `data` is
 * the whole notification.
 *
 * https://developer.squareup.com/docs/webhooks/step3validate
 */
export function square(options: SquareOptions = {}): Source {
  const url = options?.url;
  return defineSource(
    {
      provider: "square",
      keepsHeaders: ["square-initial-delivery-timestamp", "square-retry-number", "square-retry-reason"],
      options: ["url"],
      problems: checkUrl(url),
      verify: (request, secrets) =>
        verifyHmac(
          {
            signatures: [request.header("x-square-hmacsha256-signature")],
            encoding: "base64",
            content: [urlOf(request, url), request.body],
          },
          secrets,
        ),
      identify(_request, { event_id: id, type, created_at: createdAt, merchant_id: merchant, data }) {
        return { id, type, createdAt, subjects: [isJsonObject(data) ? data["id"] : null, merchant] };
      },
    },
    options,
  );
}
