import { wallClockMs } from "@penstock/schemas";
import type { Term } from "@penstock/schemas/search";
import type { Store } from "../connection/create-store.ts";
import { findEventsOf } from "../search/search-events.ts";
import { toSearch } from "../search/search-terms.ts";
import type { ArchivedEvent } from "./archived-event.ts";
import { readPicked } from "./read-day.ts";

/** As many are found before the first of them is read. */
const AT_ONCE = 1_000;
/** Without a time of its own, a search in bodies would end a day ago. */
const EVER: Term = { kind: "time", key: "after", at: new Date(0).toISOString() };

/** The recorded events that a query asks for, however old, the newest first, with all that was received of them. */
export async function* readMatching(store: Store, terms: readonly Term[]): AsyncGenerator<ArchivedEvent> {
  const isTimed = terms.some(({ kind }) => kind === "time" || kind === "age");
  const search = await toSearch(store, isTimed ? terms : [...terms, EVER], wallClockMs());
  for await (const { found } of findEventsOf(store, search, { before: null, wanted: AT_ONCE, open: false })) {
    yield* readPicked(store.pool, found);
  }
}
