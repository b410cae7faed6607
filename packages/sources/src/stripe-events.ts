import { sliceJson, sliceJsonItems } from "@penstock/schemas";
import { type AskProvider, readJson, readListed, type Reconciliation, type SentEvent } from "./reconciliation.ts";

const PAGE = "100";

/**
 * Stripe's list of events, which goes back 30 days, the newest first. It has all of the account: with `endpoint`, those alone that this
 * webhook endpoint is to be sent.
 *
 * https://docs.stripe.com/api/events/list
 */
export function stripeEvents({
  apiUrl = "https://api.stripe.com",
  endpoint,
}: {
  readonly apiUrl?: string | undefined;
  readonly endpoint?: string | undefined;
}): Reconciliation {
  const api = apiUrl.replace(/\/+$/, "");

  /** Null: all. @throws TypeError */
  async function readWantedTypes(ask: AskProvider): Promise<ReadonlySet<string> | null> {
    if (endpoint === undefined) return null;
    const { enabled_events: types } = readJson(await ask(`${api}/v1/webhook_endpoints/${endpoint}`), "object");
    if (!Array.isArray(types)) throw new TypeError("its API does not say which events the endpoint is to be sent");
    return types.includes("*") ? null : new Set(types.map(String));
  }

  return {
    apiKey: "a restricted key (rk_…) that may read events, and webhook endpoints where `endpoint` is set",
    missing: null,
    headers: (apiKey) => ({ authorization: `Bearer ${apiKey}` }),
    async *list(ask, since): AsyncGenerator<SentEvent> {
      const wanted = await readWantedTypes(ask);
      const query = new URLSearchParams({
        "created[gte]": String(Math.floor(since.getTime() / 1_000)),
        limit: PAGE,
      });
      for (let more = true; more;) {
        const answer = await ask(`${api}/v1/events?${query.toString()}`);
        const page = readJson(answer, "object");
        // The exact bytes: JSON.parse would round ids and amounts that a double cannot hold.
        const bodies = sliceJsonItems(sliceJson(answer.body, ["data"]) ?? Buffer.from("[]"));
        for (const body of bodies) {
          const event = readListed(JSON.parse(body.toString()), { id: "id", type: "type", at: "created" });
          query.set("starting_after", event.id);
          if (wanted !== null && !wanted.has(event.type)) continue;
          const request = { headers: { "content-type": "application/json; charset=utf-8" }, body: Buffer.from(body) };
          yield { ...event, request: () => Promise.resolve(request) };
        }
        more = page["has_more"] === true && bodies.length > 0;
      }
    },
  };
}
