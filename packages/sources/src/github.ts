import { randomUUID } from "node:crypto";
import { hmac } from "@penstock/schemas";
import { defineSource, type Source } from "./define-source.ts";
import { idOfBody } from "./event-key.ts";
import { checkHook, githubDeliveries } from "./github-deliveries.ts";
import { hmacKey } from "./hmac-key.ts";
import { isJsonObject, type ParsedBody, parseFormBody, parseJsonBody } from "./parse-body.ts";
import { checkApiUrl } from "./reconciliation.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

export interface GitHubOptions extends SourceOptions {
  /**
   * What an event is known by. `delivery` unless given: the header `X-GitHub-Delivery`, which is not signed. `body`: the
   * SHA-256 of the body, which is, so that a captured request is a duplicate whatever its headers say; the delivery is then
   * the event's last subject. Two deliveries with the same body are one event then.
   */
  readonly idFrom?: "delivery" | "body";
  /** The webhook at GitHub, as its API names it, `repos/OWNER/REPO/hooks/ID` or `orgs/ORG/hooks/ID`: for `penstock reconcile`. */
  readonly hook?: string;
  /** Where GitHub's API is; https://api.github.com unless given. */
  readonly apiUrl?: string;
}

/**
 * GitHub: `X-Hub-Signature-256: sha256=<hex>`, an HMAC-SHA256 of the body. The id is `X-GitHub-Delivery`, which stays the
 * same when a delivery is sent again, and the type `X-GitHub-Event`: `github.push`. `data` is the payload, whichever of
 * its two content types is chosen.
 *
 * GitHub signs the body alone: no time, no id, no type. A captured request is a new event under another
 * `X-GitHub-Delivery`, and of another type under another `X-GitHub-Event`. `idFrom: "body"` takes it for a duplicate, as
 * long as the dedupe ledger goes back; else TLS alone keeps requests from being captured.
 *
 * https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function github(options: GitHubOptions = {}): Source {
  const idFrom: unknown = options?.idFrom;
  return defineSource(
    {
      provider: "github",
      whenSilent:
        "Look at Settings → Webhooks of the repository, the organisation or the App: it must be active, and Recent Deliveries tells what became of each.",
      options: ["idFrom", "hook", "apiUrl"],
      problems: [
        ...(idFrom === undefined || idFrom === "delivery" || idFrom === "body"
          ? []
          : ['`idFrom` must be "delivery" or "body"']),
        ...checkHook(options?.hook),
        ...checkApiUrl(options?.apiUrl),
      ],
      // By its body an event is known only once it is fetched.
      ...(idFrom !== "body" && { reconcile: githubDeliveries({ hook: options?.hook, apiUrl: options?.apiUrl }) }),
      keepsHeaders: ["x-github-delivery", "x-github-event", "x-github-hook-id"],
      verify: (request, secrets) =>
        verifyHmac(
          { signatures: [request.header("x-hub-signature-256")], prefix: "sha256=", content: [request.body] },
          secrets,
        ),
      sign: (body, secret) => ({
        "x-hub-signature-256": `sha256=${hmac("sha256", hmacKey(secret), [body], "hex")}`,
        "x-github-delivery": randomUUID(),
        "x-github-event": "ping",
      }),
      parse: parsePayload,
      identify(request, data) {
        const { repository, organization } = data;
        const delivery = request.header("x-github-delivery");
        return {
          id: idFrom === "body" ? idOfBody(request.body) : delivery,
          type: request.header("x-github-event"),
          subjects: [
            isJsonObject(repository) ? repository["full_name"] : null,
            isJsonObject(organization) ? organization["login"] : null,
            idFrom === "body" ? delivery : null,
          ],
        };
      },
    },
    options,
  );
}

function parsePayload(body: Buffer): ParsedBody {
  if (!body.subarray(0, 8).equals(FORM)) return parseJsonBody(body);
  const form = parseFormBody(body);
  const payload = form.ok && isJsonObject(form.value) ? form.value["payload"] : undefined;
  return typeof payload === "string" ? parseJsonBody(Buffer.from(payload)) : { ok: false, problem: "not-json" };
}

const FORM = Buffer.from("payload=");
