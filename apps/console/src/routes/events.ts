import { maskBody } from "@penstock/schemas";
import { parseQuery, type Term } from "@penstock/schemas/search";
import type { eventsRoutes, RouteResult } from "@penstock/schemas/admin";
import {
  COPY_COUNT_LIMIT,
  countEvents,
  findRelated,
  listKnownValues,
  listSourceSecrets,
  readArrival,
  recordAudit,
  searchEvents,
  type Store,
} from "@penstock/store";
import { printCursor, readCursor } from "../api/page.ts";
import type { Principal } from "../api/principal.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { findEvent, findEvents } from "../find-event.ts";
import { streamEvents } from "../live/stream-events.ts";
import type { SourceParts } from "../source-parts.ts";
import { showWithTraces } from "./delivery-traces.ts";

/** How long a page may be looked for: what is found until then is shown, and one can go on. */
const SEARCH_MS = 3_000;
const COUNT_MS = 1_500;

type Items = RouteResult<(typeof eventsRoutes)["GET /events"]>["items"];
type Related = Omit<RouteResult<(typeof eventsRoutes)["GET /events/{source}/{id}/related"]>, "copies">;
type Shown = RouteResult<(typeof eventsRoutes)["GET /events/{source}/{id}"]>["items"];

const LAST_EVENT_ID = /^\d{1,16}$/;

/** `closing`: ends what would go on for ever. */
export function createEventsHandlers(
  store: Store,
  { list }: SourceParts,
  closing: AbortSignal,
): Handlers<typeof eventsRoutes> {
  return {
    "GET /events": async ({ query: { q, open, cursor, limit } }, { principal, signal }) => {
      const terms = readQuery(q, principal);
      const before = readCursor(cursor);
      const wanted = { terms, limit, before, open: open !== undefined };
      const page = await searchEvents(store, { ...wanted, budgetMs: SEARCH_MS, signal });
      // States are texts to the store; the answer is checked.
      return { items: page.items as Items, next: printCursor(page.next), bodiesSince: page.bodiesSince };
    },
    "GET /events/histogram": ({ query: { q } }, { principal, signal }) =>
      countEvents(store, { terms: readQuery(q, principal), budgetMs: COUNT_MS, signal }),
    "GET /events/values": () => listKnownValues(store),
    "GET /events/{source}/{id}": async ({ path }) => {
      const items: object[] = [];
      for (const { body: _body, ...event } of await findEvents(store, path)) {
        const isPending = event.status === "pending";
        items.push({
          ...event,
          deliveries: isPending ? [] : await showWithTraces(store, { event: `seq:${event.seq}` }),
        });
      }
      return { items: items as Shown[number][] };
    },
    "GET /events/{source}/{id}/body": async ({ path, query: { reveal } }, { principal }) => {
      const { seq, source, id, body, erased } = await findEvent(store, path);
      const hidden = { seq, masked: true, encoding: "utf8" } as const;
      if (!principal.seesPayloads) return { ...hidden, mayReveal: false, body: maskBody(body, [[]]) };
      const text = body.toString();
      const sensitive = list.find(({ name }) => name === source)?.source.sensitive ?? [];
      const masked = erased === null ? maskBody(body, sensitive) : text;
      const isMasked = masked !== text;
      // On record before it is shown.
      const target = `${source}/${id ?? `seq:${seq}`}`;
      const detail = { seq, ...(isMasked && reveal && { revealed: true }) };
      await recordAudit(store.pool, { actor: principal.actor, action: "events.read-body", target, detail });
      if (isMasked && !reveal) return { ...hidden, mayReveal: true, body: masked };
      const isText = Buffer.from(text).equals(body);
      return {
        seq,
        masked: false,
        mayReveal: false,
        encoding: isText ? "utf8" : "base64",
        body: isText ? text : body.toString("base64"),
      };
    },
    "GET /events/{source}/{id}/arrival": async ({ path }, { principal: { seesPayloads } }) => {
      const event = await findEvent(store, path);
      const found = await readArrival(store, event);
      if (found === null) return { arrival: null };
      const headers = seesPayloads ? found.headers : found.headers.map(({ name }) => ({ name, value: "…" }));
      const secret = found.secret === null ? null : await describeSecret(store, event.source, found.secret);
      return { arrival: { headers, masked: !seesPayloads, secret, signatureAgeMs: found.signatureAgeMs } };
    },
    "GET /events/{source}/{id}/related": async ({ path }) => {
      const { copies, ...others } = await findRelated(store, await findEvent(store, path));
      return { copies: { ...copies, more: copies.count >= COPY_COUNT_LIMIT }, ...(others as Related) };
    },
    "GET /events/stream": ({ query: { types, source, after } }, { req, res, signal }) => {
      const resumed = LAST_EVENT_ID.exec(req.get("last-event-id") ?? "")?.[0];
      return streamEvents(store, res, {
        types: types?.split(","),
        source,
        after: resumed === undefined ? after : Number(resumed),
        signal: AbortSignal.any([signal, closing]),
      });
    },
  };
}

/** @throws Problem that says where the query is wrong, and what would be right. */
function readQuery(q: string, { seesPayloads }: Principal): readonly Term[] {
  const parsed = parseQuery(q);
  if (!parsed.ok) {
    const errors = parsed.errors.map(({ from, to, message }) => ({ path: `query.q[${from}:${to}]`, message }));
    throw new Problem(400, "The query is not understood", { errors });
  }
  // A search for a value tells whether it is there.
  if (!seesPayloads && parsed.terms.some(({ kind }) => kind === "body" || kind === "text")) {
    throw new Problem(403, "This searches payloads", {
      detail: "You may not see the payloads of events. An admin can change that in Settings.",
    });
  }
  return parsed.terms;
}

/** A secret by its fingerprint, which tells nothing of it. */
async function describeSecret(store: Store, source: string, fingerprint: string) {
  const found = (await listSourceSecrets(store, source)).find((one) => one.fingerprint === fingerprint);
  const from = found === undefined ? "gone" : found.kept ? "database" : "environment";
  return { fingerprint, from, addedAt: found?.addedAt.toISOString() ?? null } as const;
}
