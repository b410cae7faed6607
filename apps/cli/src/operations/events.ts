import { printQuery } from "@penstock/schemas/search";
import {
  type EventDetail,
  type EventPage,
  type EventSearch,
  type EventSummary,
  searchEvents,
  showEvents,
  type Store,
  toTerms,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { type Call, readPages } from "./answers.ts";

export interface EventOperations {
  searchEvents(search: Pick<EventSearch, "terms" | "limit" | "open">): Promise<Omit<EventPage, "next">>;
  /** All events with this id, the oldest first, or the one with this seq. */
  showEvents(idOrSeq: string): Promise<readonly EventDetail[]>;
}

export const eventsInStore = (store: Store): EventOperations => ({
  searchEvents: (search) => searchEvents(store, search),
  showEvents: (idOrSeq) => showEvents(store, idOrSeq),
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

  async function show(event: EventSummary): Promise<(EventDetail & { masked: boolean }) | null> {
    const path = { source: event.source, id: `seq:${event.seq}` };
    const { items } = await call("GET /events/{source}/{id}", { path });
    const found = items.find(({ seq }) => seq === event.seq);
    if (found === undefined) return null;
    const { attempts, subjects, traceparent } = found;
    const { body, encoding, masked } = await call("GET /events/{source}/{id}/body", { path });
    return { ...event, attempts, subjects, traceparent, body: Buffer.from(body, encoding), masked };
  }

  return {
    searchEvents: search,
    async showEvents(idOrSeq) {
      const { items } = await search({ terms: toTerms({ event: idOrSeq }), limit: MOST_SHOWN });
      const shown: EventDetail[] = [];
      let isMasked = false;
      for (const event of items.toReversed()) {
        const found = await show(event);
        if (found === null) continue;
        const { masked, ...detail } = found;
        shown.push(detail);
        isMasked ||= masked;
      }
      if (isMasked) output.say("Values of bodies are masked: this token may not see payloads.");
      return shown;
    },
  };
}
