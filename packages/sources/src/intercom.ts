import { defineSource, type Source } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { isJsonObject } from "./parse-body.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * Intercom: `X-Hub-Signature: sha1=<hex>`, an HMAC-SHA1 of the body, keyed with the app's client secret. Before it takes a
 * URL Intercom asks by HEAD, which is answered. The id is the notification's (`notif_…`), the type its topic:
 * `intercom.conversation.user.created`. `data` is the whole notification, of which `delivery_attempts` varies.
 *
 * https://developers.intercom.com/docs/webhooks
 */
export function intercom(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "intercom",
      types: ["ping"],
      bodyVaries: true,
      verify: ({ header, body }, secrets) =>
        verifyHmac(
          { signatures: [header("x-hub-signature")], prefix: "sha1=", algorithm: "sha1", content: [body] },
          secrets,
        ),
      handshake: ({ method }) => (method === "HEAD" ? { contentType: "text/plain", body: "" } : null),
      identify({ body }, { id, topic, created_at: createdAt, app_id: app, data }) {
        const item = isJsonObject(data) && isJsonObject(data["item"]) ? data["item"] : {};
        // The test that its page sends has no id.
        return { id: id ?? idOfBody(body), type: topic, createdAt, subjects: [item["id"], app] };
      },
    },
    options,
  );
}
