import { sliceJson, sliceJsonItems } from "@penstock/schemas";
import { isJsonObject } from "./parse-body.ts";
import {
  type AskProvider,
  type ProviderAnswer,
  readJson,
  readListed,
  type Reconciliation,
  type SentEvent,
  type SentRequest,
} from "./reconciliation.ts";

const HOOK = /^(?:repos\/[\w.-]+\/[\w.-]+|orgs\/[\w.-]+)\/hooks\/\d+$/;

/** What is wrong with the name of a webhook, if it is given. */
export function checkHook(hook: unknown): string[] {
  if (hook === undefined || (typeof hook === "string" && HOOK.test(hook))) return [];
  return ["`hook` must be repos/OWNER/REPO/hooks/ID or orgs/ORG/hooks/ID, as in the address of its API"];
}

/**
 * GitHub's list of deliveries of a webhook, which goes back some days, the newest first: what it has sent or tried to, with each try of its
 * own. An event is fetched as GitHub keeps it, payload and headers.
 *
 * https://docs.github.com/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
 */
export function githubDeliveries({
  apiUrl = "https://api.github.com",
  hook,
}: {
  readonly apiUrl?: string | undefined;
  readonly hook?: string | undefined;
}): Reconciliation {
  const deliveries = `${apiUrl.replace(/\/+$/, "")}/${hook}/deliveries`;
  return {
    apiKey: "a fine-grained token that may read the webhooks of the repository, or of the organisation",
    missing: hook === undefined ? 'Say which webhook it is: github({ hook: "repos/OWNER/REPO/hooks/ID" }).' : null,
    headers: (apiKey) => ({
      authorization: `Bearer ${apiKey}`,
      accept: "application/vnd.github+json",
      "x-github-api-version": "2022-11-28",
    }),
    async *list(ask, since): AsyncGenerator<SentEvent> {
      const seen = new Set<string>();
      for (let url: string | null = `${deliveries}?per_page=100`; url !== null;) {
        const answer = await ask(url);
        readJson(answer, "array");
        url = nextPage(answer);
        for (const item of sliceJsonItems(answer.body)) {
          const event = readListed(JSON.parse(item.toString()), { id: "guid", type: "event", at: "delivered_at" });
          // Of tries of one event the list has the newest first.
          if (event.createdAt !== null && event.createdAt < since) return;
          if (seen.has(event.id)) continue;
          seen.add(event.id);
          // As it is written: the number can be larger than a double can tell.
          const number = sliceJson(item, ["id"])?.toString() ?? "";
          yield { ...event, request: () => fetchRequest(ask, `${deliveries}/${number}`, event) };
        }
      }
    },
  };
}

async function fetchRequest(
  ask: AskProvider,
  url: string,
  { id, type }: { readonly id: string; readonly type: string },
): Promise<SentRequest> {
  const answer = await ask(url);
  const { request } = readJson(answer, "object");
  const sent = isJsonObject(request) && isJsonObject(request["headers"]) ? Object.entries(request["headers"]) : [];
  const body = sliceJson(answer.body, ["request", "payload"]);
  if (body === null || body.toString() === "null")
    throw new TypeError("its API has no payload of this delivery any more");
  const headers: Record<string, string> = {};
  for (const [name, value] of sent) if (typeof value === "string") headers[name.toLowerCase()] = value;
  return {
    headers: { ...headers, "x-github-delivery": id, "x-github-event": type },
    body: Buffer.from(body),
  };
}

/** The address of the next page, which a header has; null: it was the last. */
function nextPage({ header }: ProviderAnswer): string | null {
  return /<([^>]+)>;\s*rel="next"/.exec(header("link") ?? "")?.[1] ?? null;
}
