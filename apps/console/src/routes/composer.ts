import { hash } from "node:crypto";
import type { Keyring } from "@penstock/dispatch/seal";
import { isKnownEventType, KNOWN_EVENT_TYPES, wallClockMs } from "@penstock/schemas";
import type { composerRoutes, RouteResult } from "@penstock/schemas/admin";
import { makeEvent } from "@penstock/schemas/fixtures";
import type { NamedSource } from "@penstock/sources";
import { listEvents, listRefusedRequests, recordAudit, type Store } from "@penstock/store";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { findLiveSecret, findSource, type SourceParts } from "../source-parts.ts";

type Outcomes = NonNullable<RouteResult<(typeof composerRoutes)["GET /composer/outcome"]>["event"]>["deliveries"];

/** Longer ago than any provider's tolerance. */
const OLD_MS = 86_400_000;
const ANSWER_MS = 15_000;
const MAX_ANSWER = 2_000;

export function createComposerHandlers(
  store: Store,
  keyring: Keyring,
  sources: SourceParts,
): Handlers<typeof composerRoutes> {
  return {
    "GET /composer/sample": ({ query: { source: name, type } }) => toSample(findSource(sources, name), type),
    "POST /composer": async ({ body: { source: name, body: text, way } }, { principal, signal }) => {
      const named = findSource(sources, name);
      const body = Buffer.from(text);
      const headers = {
        "content-type": "application/json",
        ...(way !== "unsigned" && (await sign(named, body, way === "old" ? OLD_MS : 0))),
      };
      const sent = way === "tampered" ? Buffer.concat([body, Buffer.from(" ")]) : body;
      const url = `${sources.ingestUrl}/webhooks/${name}`;
      await recordAudit(store.pool, {
        actor: principal.actor,
        action: "composer.send",
        target: name,
        detail: { way, bytes: sent.length, bodySha256: hash("sha256", sent, "hex") },
      });
      const [refused] = await listRefusedRequests(store, { source: name, limit: 1 });
      const begun = performance.now();
      const answer = await post(url, headers, sent, signal);
      const header = (wanted: string): string | undefined =>
        Object.entries(headers).find(([one]) => one.toLowerCase() === wanted)?.[1];
      const { id } = named.source.identify({ header, body: sent, url: `/webhooks/${name}` });
      return {
        ...answer,
        tookMs: performance.now() - begun,
        headers,
        eventId: answer.status < 300 ? id : null,
        refusedBefore: refused?.id ?? 0,
      };
    },
    "GET /composer/outcome": async ({ query: { source, eventId } }) => {
      const found = await listEvents(store, { event: eventId, source, limit: 1 });
      const [event] = found;
      if (event === undefined) return { event: null };
      const { seq, status, quarantine, deliveries } = event;
      return {
        event: {
          seq,
          status,
          quarantine: quarantine && { reason: quarantine.reason, detail: quarantine.detail },
          // States are texts to the store; the answer is checked.
          deliveries: deliveries.map(({ subscriber, state, attempts }) => ({
            subscriber,
            state,
            attempts,
          })) as Outcomes,
        },
      };
    },
  };

  async function sign(
    { name, source, secretsFrom }: NamedSource,
    body: Buffer,
    agoMs: number,
  ): Promise<Readonly<Record<string, string>>> {
    if (source.sign === null) {
      throw new Problem(409, `Nobody but ${source.provider} can sign for this source`, { detail: "Send it unsigned." });
    }
    const secret = await findLiveSecret(store, keyring, sources, name);
    if (secret !== null) return source.sign(body, secret, wallClockMs() - agoMs);
    throw new Problem(409, `No secret of ${name} is known here`, {
      detail: `Add one on the page of the source, or give the console ${secretsFrom}.`,
    });
  }
}

/** An event with an id and a time of its own, where its types are known; else the least that an event has. */
function toSample({ source }: NamedSource, wanted: string | undefined) {
  const types: readonly string[] = source.sendsEnvelope ? KNOWN_EVENT_TYPES : [];
  const type = types.find((one) => one === wanted) ?? types[0] ?? null;
  const event =
    type !== null && isKnownEventType(type)
      ? makeEvent(type)
      : { id: `evt_${crypto.randomUUID()}`, type: "test", createdAt: new Date(wallClockMs()).toISOString(), data: {} };
  return { body: JSON.stringify(event, null, 2), type, types: [...types] };
}

async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  signal: AbortSignal,
): Promise<{ status: number; answer: string }> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const answer = await fetch(url, { method: "POST", headers, body: new Uint8Array(body), signal: limit });
    return { status: answer.status, answer: (await answer.text()).slice(0, MAX_ANSWER) };
  } catch (error) {
    const detail = `${url} did not answer (${error instanceof Error ? error.message : String(error)}): is ingest there? INGEST_URL of the console says where.`;
    throw new Problem(502, "Ingest was not reached", { detail });
  }
}
