import { matchBody, wallClockMs } from "@penstock/schemas";
import type { Term } from "@penstock/schemas/search";
import type { Store } from "../connection/create-store.ts";
import { type EventSummary, summarise, toWaiting } from "../events/event-summary.ts";
import type { EventPointer } from "../events/find-events.ts";
import { readEvents } from "../events/read-events.ts";
import { type Search, toSearch } from "./search-terms.ts";
import { searchWaiting } from "./search-waiting.ts";
import { type FoundPointer, walkEvents } from "./walk-events.ts";

export interface EventSearch {
  /** What is asked for; none: all. */
  readonly terms?: readonly Term[];
  readonly limit?: number;
  /** Where the page before ended: only events below. */
  readonly before?: EventPointer | null;
  /** Of those in quarantine, only what nobody has dismissed. */
  readonly open?: boolean;
  /** How long to look before what is found so far is given, in milliseconds; no limit unless given. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal;
}

export interface EventPage {
  /** The newest first. They may be fewer than the limit though there is a next page: time was up. */
  readonly items: readonly EventSummary[];
  /** Where the next page begins; null: this is the last one. */
  readonly next: EventPointer | null;
  /** How far back bodies were looked at, because the query has a condition on them and none on time; else null. */
  readonly bodiesSince: string | null;
}

/** Bodies of a step are read in parts of about so many bytes. */
const BODY_BYTES = 8 * 1_048_576;

/**
 * The events that a query asks for, the newest first, with what waits to be processed. Pages by (day, seq), the order of the
 * primary key: a page costs the same wherever it lies.
 */
export async function searchEvents(store: Store, options: EventSearch = {}): Promise<EventPage> {
  const { limit = 20, before = null, open = false, budgetMs = Infinity, signal } = options;
  const search = await toSearch(store, options.terms ?? [], wallClockMs());
  const isOver = deadline(budgetMs, signal);
  // In this order: what is processed in between is found twice, and not missed.
  const waiting = await searchWaiting(store, search, { before: before?.seq ?? null, limit });
  const found: FoundPointer[] = [];
  let downTo: EventPointer | null = null;
  for await (const step of findEventsOf(store, search, { before, wanted: limit, open })) {
    found.push(...step.found);
    downTo = step.downTo;
    if (found.length >= limit || isOver()) break;
  }
  const processed = await summarise(store, found.slice(0, limit));
  const seqs = new Set(processed.map(({ seq }) => seq));
  // What waits below where the search has come to belongs to the next page.
  const shown = waiting
    .map(toWaiting)
    .filter((event) => !seqs.has(event.seq) && (downTo === null || isBelow(downTo, event)));
  const items = [...processed, ...shown].toSorted((a, b) => (isBelow(a, b) ? 1 : -1));
  const isAll = downTo === null && found.length <= limit && items.length <= limit && waiting.length < limit;
  const last = items.length >= limit ? items[limit - 1] : downTo;
  return {
    items: items.slice(0, limit),
    next: isAll || last == null ? null : { day: last.day, seq: last.seq },
    bodiesSince: search.isBounded ? (search.conditions.since?.toISOString() ?? null) : null,
  };
}

/** Steps of a walk, with what the bodies have to say. */
export async function* findEventsOf(
  store: Store,
  search: Search,
  walk: Parameters<typeof walkEvents>[2],
): ReturnType<typeof walkEvents> {
  for await (const step of walkEvents(store, search, walk)) {
    if (search.bodyTerms.length === 0) {
      yield step;
      continue;
    }
    let left = step.found;
    while (left.length > 0) {
      const events = await readEvents(store.pool, left, BODY_BYTES);
      const matching = new Set(events.filter(({ body }) => matchBody(body, search.bodyTerms)).map(({ seq }) => seq));
      const read = events.length === 0 ? left.length : left.findIndex(({ seq }) => seq === events.at(-1)?.seq) + 1;
      const last = left[read - 1];
      const found = left.slice(0, read).filter(({ seq }) => matching.has(seq));
      left = left.slice(read);
      yield { found, downTo: left.length === 0 ? step.downTo : (last ?? null) };
    }
    if (step.found.length === 0) yield step;
  }
}

/** Whether `other` comes before `event` in (day, seq). */
function isBelow(event: EventPointer, other: EventPointer): boolean {
  return event.day === other.day ? event.seq < other.seq : event.day < other.day;
}

/** Tells when time is up, or nobody waits any more. */
export function deadline(budgetMs: number, signal?: AbortSignal): () => boolean {
  const start = performance.now();
  return () => signal?.aborted === true || performance.now() - start > budgetMs;
}
