import { randomUUID } from "node:crypto";
import { sliceJson, sliceJsonItems } from "@penstock/schemas";
import { defineSource, type Source, type Verification } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { findSecret } from "./find-secret.ts";
import { isJsonObject, parseJsonBody, toObject } from "./parse-body.ts";
import { queryOf } from "./request-url.ts";
import type { SourceOptions } from "./source-options.ts";
import { MISMATCH, MISSING } from "./verification.ts";

/**
 * Microsoft Graph's change and lifecycle notifications. Graph signs nothing: a subscription's `clientState`, which stands
 * in each notification, is what vouches for it, and the secrets are the `clientState` of the live subscriptions. One
 * request is accepted when all notifications in it have a right one. Each is then an event of its own, which holds the
 * `clientState`. The validation of a URL, a POST with `?validationToken=…`, is answered with the token.
 *
 * Types are `microsoft-graph.message.created` (resource and change in lower case, `resource` where Graph does not tell
 * which) and `microsoft-graph.lifecycle.missed`. `data` is the notification. The id is Graph's with the subscription's in
 * front, else a hash. Where nothing tells one notification from the next about the same resource, each that comes is an
 * event, sent again or not: the alternative were to lose the second change. Tokens for validation of the collection
 * (`validationTokens`) are not kept.
 *
 * https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
 * https://learn.microsoft.com/graph/change-notifications-lifecycle-events
 */
export function microsoftGraph(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "microsoft-graph",
      whenSilent:
        "Subscriptions of Microsoft Graph expire within days unless they are renewed: see whether it is still there, and subscribe again.",
      types: ["reauthorizationRequired", "subscriptionRemoved", "missed"].map((event) => `lifecycle.${event}`),
      verify: ({ body }, secrets) => verifyStates(toObject(parseJsonBody(body))["value"], secrets),
      handshake(request) {
        if (request.method !== "POST" || request.verified) return null;
        const token = queryOf(request).get("validationToken");
        // Graph's tokens hold no markup, and nobody else has anything to say here.
        return token !== null && TOKEN.test(token) ? { contentType: "text/plain", body: token } : null;
      },
      split: ({ body }) => sliceJsonItems(sliceJson(body, ["value"]) ?? Buffer.alloc(0)),
      identify({ body }, item) {
        const { id, subscriptionId, changeType, lifecycleEvent, resource } = item;
        const resourceData = isJsonObject(item["resourceData"]) ? item["resourceData"] : {};
        const known = isText(id) ? `${String(subscriptionId)}/${id}` : null;
        return {
          id: known ?? (isRepeatable(item, resourceData) ? randomUUID() : idOfBody(body)),
          type: isText(lifecycleEvent)
            ? `lifecycle.${lifecycleEvent}`
            : isText(changeType) && `${toResourceType(resourceData["@odata.type"])}.${changeType}`,
          subjects: [resourceData["id"], resource, subscriptionId],
        };
      },
    },
    options,
  );
}

/** A text of Graph's, of at most a kilobyte, without control characters and markup. */
const TOKEN = /^[^\p{Cc}<>]{1,1024}$/u;

function verifyStates(value: unknown, secrets: readonly string[]): Verification {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const states = items.map((item) => (isJsonObject(item) ? item["clientState"] : null));
  if (states.length === 0 || !states.every(isText)) return MISSING;
  let last = 0;
  for (const state of states) {
    const found = findSecret(state, secrets);
    // Whoever knows no secret must not have a body full of guesses compared.
    if (found === -1) return MISMATCH;
    last = Math.max(last, found);
  }
  // The oldest of the secrets that were used: so it is seen until when an old one is.
  return { ok: true, secretIndex: last };
}

/** Whether the next notification could be the same to the byte although something else has happened. */
function isRepeatable(
  { changeType, encryptedContent }: Readonly<Record<string, unknown>>,
  resourceData: Readonly<Record<string, unknown>>,
): boolean {
  const isTold = ["@odata.etag", "sequenceNumber"].some((name) => Object.hasOwn(resourceData, name));
  const isOnce = (changeType === "created" || changeType === "deleted") && isText(resourceData["id"]);
  return !isTold && !isOnce && !isJsonObject(encryptedContent);
}

/** `chatmessage` of `#Microsoft.Graph.chatMessage`, which services write in their own ways. */
function toResourceType(odataType: unknown): string {
  const [, name] = /([A-Za-z]+)$/.exec(isText(odataType) ? odataType : "") ?? [];
  return name?.toLowerCase() ?? "resource";
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
