import { maskBody } from "@penstock/schemas";
import { printQuery } from "@penstock/schemas/search";
import {
  type EventDetail,
  type EventPage,
  type EventSearch,
  type EventSummary,
  recordAudit,
  searchEvents,
  showEvents,
  type Store,
  toTerms,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { findSensitive } from "../sources/find-sensitive.ts";
import { type Call, readPages } from "./answers.ts";

export interface EventOperations {
  searchEvents(search: Pick<EventSearch, "terms" | "limit" | "open">): Promise<Omit<EventPage, "next">>;
  /** All events with this id, the oldest first, or the one with this seq. `reveal`: with their sensitive fields. */
  showEvents(idOrSeq: string, reveal?: boolean): Promise<readonly EventDetail[]>;
}

const SENSITIVE_MASKED = "Sensitive fields are masked: `events show --reveal` shows them, which is on record.";

export const eventsInStore = (store: Store, ctx: CliContext): EventOperations => ({
  searchEvents: (search) => searchEvents(store, search),
  async showEvents(idOrSeq, reveal = false) {
    const sensitiveOf = await findSensitive(ctx);
    const shown: EventDetail[] = [];
    let isMasked = false;
    for (const event of await showEvents(store, idOrSeq)) {
      const { seq, source, id, erased } = event;
      const masked = maskBody(event.body, sensitiveOf(source));
      const hides = erased === null && masked !== event.body.toString();
      isMasked ||= hides && !reveal;
      shown.push(hides && !reveal ? { ...event, body: Buffer.from(masked) } : event);
      if (!hides || !reveal) continue;
      const target = `${source}/${id ?? `seq:${seq}`}`;
      const detail = { seq, revealed: true };
      await recordAudit(store.pool, { actor: ctx.actor, action: "events.read-body", target, detail });
    }
    if (isMasked) ctx.output.say(SENSITIVE_MASKED);
    return shown;
  },
});

/** Of what has the same id, as many are shown. */
const MOST_SHOWN = 20;

export function eventsByApi(call: Call, { output }: Pick<CliContext, "output">): EventOperations {
  const search: EventOperations["searchEvents"] = async ({ terms = [], limit = 20, open = false }) => {
    let bodiesSince: string | null | undefined;
    const items = await readPages(limit, async (page) => {
      const query = { q: printQuery(terms), ...(open && { open: "true" as const }), ...page };
      const answer = await call("GET /events", { query });
      bodiesSince ??= answer.bodiesSince;
      return answer;
    });
    return { items, bodiesSince: bodiesSince ?? null };
  };

  async function show(
    event: EventSummary,
    reveal: boolean,
  ): Promise<(EventDetail & { masked: boolean; mayReveal: boolean }) | null> {
    const path = { source: event.source, id: `seq:${event.seq}` };
    const { items } = await call("GET /events/{source}/{id}", { path });
    const found = items.find(({ seq }) => seq === event.seq);
    if (found === undefined) return null;
    const { attempts, subjects, traceparent } = found;
    const query = reveal ? ({ reveal: "true" } as const) : {};
    const { body, encoding, ...masking } = await call("GET /events/{source}/{id}/body", { path, query });
    return { ...event, attempts, subjects, traceparent, body: Buffer.from(body, encoding), ...masking };
  }

  return {
    searchEvents: search,
    async showEvents(idOrSeq, reveal = false) {
      const { items } = await search({ terms: toTerms({ event: idOrSeq }), limit: MOST_SHOWN });
      const shown: EventDetail[] = [];
      let isMasked = false;
      let mayReveal = false;
      for (const event of items.toReversed()) {
        const found = await show(event, reveal);
        if (found === null) continue;
        const { masked, mayReveal: may, ...detail } = found;
        shown.push(detail);
        isMasked ||= masked;
        mayReveal ||= may;
      }
      if (mayReveal) output.say(SENSITIVE_MASKED);
      else if (isMasked) output.say("Values of bodies are masked: this token may not see payloads.");
      return shown;
    },
  };
}
