import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject } from "./parse-body.ts";
import { checkUrl, urlOf } from "./request-url.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface TrelloOptions extends SourceOptions {
  /**
   * The `callbackURL` that Trello was given, without its query: `https://hooks.example.com/webhooks/trello`. The signature
   * covers it; `https://`, the request's host and its path unless given.
   */
  readonly url?: string;
}

/**
 * Trello: `X-Trello-Webhook`, an HMAC-SHA1 in base64 of the body and the callback URL, keyed with the app's secret (of its
 * API key, not the token). Before it makes a webhook Trello asks by HEAD, which is answered. Types are those of actions,
 * `trello.updateCard`; `data` is the whole body, with the model as it then was. The id is the action's: an action that is
 * sent for several webhooks, e.g. of a card and of its board, is one event.
 *
 * https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/
 */
export function trello(options: TrelloOptions = {}): Source {
  const url = options?.url;
  return defineSource(
    {
      provider: "trello",
      options: ["url"],
      problems: checkUrl(url),
      bodyVaries: true,
      verify: (request, secrets) =>
        verifyHmac(
          {
            signatures: [request.header("x-trello-webhook")],
            algorithm: "sha1",
            encoding: "base64",
            content: [request.body, urlOf(request, url)],
          },
          secrets,
        ),
      handshake: ({ method }) => (method === "HEAD" ? { contentType: "text/plain", body: "" } : null),
      identify(_request, data) {
        const action = isJsonObject(data["action"]) ? data["action"] : {};
        const about = isJsonObject(action["data"]) ? action["data"] : {};
        const idOf = (name: string): unknown => (isJsonObject(about[name]) ? about[name]["id"] : null);
        return {
          id: action["id"],
          type: action["type"],
          createdAt: action["date"],
          subjects: [idOf("card"), idOf("board"), action["idMemberCreator"]],
        };
      },
    },
    options,
  );
}
