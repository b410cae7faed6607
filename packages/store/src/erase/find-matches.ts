import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { readEvents } from "../events/read-events.ts";
import { toSearch } from "../search/search-terms.ts";
import { walkEvents } from "../search/walk-events.ts";
import type { Look } from "./wanted.ts";

/** Events of a step that have the value, and how far down the step has looked; null: everywhere. */
interface Matches {
  readonly found: readonly EventPointer[];
  readonly downTo: EventPointer | null;
}

const BODY_BYTES = 8 * 1_048_576;

const SUBJECTS = statement({
  rows: { seq: "int8", subjects: "text[]", erased: "bool" },
  text: sql`
    SELECT e.seq, e.subjects, e.problem IS NOT DISTINCT FROM 'erased' AS erased
      FROM unnest(${{ days: "date[]", seqs: "int8[]" }}) AS w (day, seq),
           LATERAL (SELECT * FROM penstock.events WHERE day = w.day AND seq = w.seq LIMIT 1) AS e`,
});

/** Goes through the events that a look is about and that have been processed, in batches up to the last one, the newest first. */
export async function* findMatches(
  store: Store,
  { terms, accepts }: Look,
  {
    lastBatch,
    before,
    wanted,
  }: { readonly lastBatch: number; readonly before: EventPointer | null; readonly wanted: number },
): AsyncGenerator<Matches> {
  const search = await toSearch(store, terms, 0);
  // The look itself decides about bodies.
  const walked = walkEvents(store, { ...search, bodyTerms: [] }, { before, wanted, open: false });
  for await (const { found, downTo } of walked) {
    const old = found.filter(({ seq }) => Math.floor(seq / BATCH_EVENTS) <= lastBatch);
    yield { found: await accepted(store, old, accepts), downTo };
  }
}

async function accepted(store: Store, events: readonly EventPointer[], accepts: Look["accepts"]) {
  const { rows } = await query(store.pool, SUBJECTS, {
    days: events.map(({ day }) => day),
    seqs: events.map(({ seq }) => seq),
  });
  const known = new Map(rows.filter(({ erased }) => !erased).map(({ seq, subjects }) => [Number(seq), subjects]));
  const matching: EventPointer[] = [];
  for (let left = events.filter(({ seq }) => known.has(seq)); left.length > 0;) {
    const read = await readEvents(store.pool, left, BODY_BYTES);
    for (const { day, seq, body } of read) {
      if (accepts({ subjects: known.get(seq) ?? [], body })) matching.push({ day, seq });
    }
    const last = read.at(-1);
    left = last === undefined ? [] : left.slice(left.findIndex(({ seq }) => seq === last.seq) + 1);
  }
  return matching;
}
