import { defineSource, type Source } from "./define-source.ts";
import { isJsonObject, type ParsedBody, parseFormBody, parseJsonBody } from "./parse-body.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * GitHub: `X-Hub-Signature-256: sha256=<hex>`, an HMAC-SHA256 of the body. The id is `X-GitHub-Delivery`, which stays the
 * same when a delivery is sent again, and the type `X-GitHub-Event`: `github.push`. `data` is the payload, whichever of
 * its two content types is chosen. GitHub signs no time and sends none: deduplication is the defence against replay.
 *
 * https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function github(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "github",
      verify: (request, secrets) =>
        verifyHmac(
          { signatures: [request.header("x-hub-signature-256")], prefix: "sha256=", content: [request.body] },
          secrets,
        ),
      parse: parsePayload,
      identify(request, data) {
        const { repository, organization } = data;
        return {
          id: request.header("x-github-delivery"),
          type: request.header("x-github-event"),
          subjects: [
            isJsonObject(repository) ? repository["full_name"] : null,
            isJsonObject(organization) ? organization["login"] : null,
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
