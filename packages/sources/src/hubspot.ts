import { sliceJsonMembers } from "@penstock/schemas";
import { defineSource, type Source } from "./define-source.ts";
import { idOfParts } from "./event-key.ts";
import { itemsOfBody, textAt } from "./parse-body.ts";
import { checkUrl, urlOf } from "./request-url.ts";
import { checkTolerance, type SourceOptions } from "./source-options.ts";
import { MALFORMED, MISSING, withinTolerance } from "./verification.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface HubSpotOptions extends SourceOptions {
  /**
   * The target URL that HubSpot was given, without its query: `https://hooks.example.com/webhooks/hubspot`. The signature
   * covers it; `https://`, the request's host and its path unless given.
   */
  readonly url?: string;
  /** How far the signed time may be from ours; 300 unless given, 0 for any. */
  readonly toleranceSeconds?: number;
}

/**
 * HubSpot: `X-HubSpot-Signature-v3`, an HMAC-SHA256 in base64 of method, URL, body and the milliseconds of
 * `X-HubSpot-Request-Timestamp`, keyed with the app's client secret. Each event of a request is one of its own: the type is
 * `hubspot.contact.creation`, and `data` the event. HubSpot calls `eventId` not unique: the id is it and a hash of all but
 * `attemptNumber`, which counts deliveries.
 *
 * https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
 */
export function hubspot(options: HubSpotOptions = {}): Source {
  const url = options?.url;
  const toleranceSeconds = options?.toleranceSeconds ?? 300;
  return defineSource(
    {
      provider: "hubspot",
      options: ["url", "toleranceSeconds"],
      problems: [...checkUrl(url), ...checkTolerance(options?.toleranceSeconds)],
      bodyVaries: true,
      verify(request, secrets, now) {
        const { header, body } = request;
        const [signature, timestamp] = [header("x-hubspot-signature-v3"), header("x-hubspot-request-timestamp")];
        if (!signature || !timestamp) return MISSING;
        if (!/^\d{1,15}$/.test(timestamp)) return MALFORMED;
        const content = ["POST", decodeUrl(urlOf(request, url)), body, timestamp];
        const verification = verifyHmac({ signatures: [signature], encoding: "base64", content }, secrets);
        return withinTolerance(verification, timestamp, toleranceSeconds, now);
      },
      split: ({ body }) => itemsOfBody(body),
      identify({ body }, data) {
        const members = sliceJsonMembers(body);
        const told = [...members.keys()].filter((name) => name !== "attemptNumber");
        const parts = told.toSorted().flatMap((name) => [name, members.get(name) ?? ""]);
        const eventId = textAt(body, data, ["eventId"]);
        return {
          id: typeof eventId === "string" ? `${eventId}.${idOfParts(...parts).slice("sha256-".length, 23)}` : null,
          type: data["subscriptionType"],
          createdAt: data["occurredAt"],
          subjects: [textAt(body, data, ["objectId"]), textAt(body, data, ["portalId"])],
        };
      },
    },
    options,
  );
}

/** HubSpot signs the URL with these characters decoded, which leaves all others, also those of the query, as they are. */
function decodeUrl(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent);
}
