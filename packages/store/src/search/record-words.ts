import { BATCH_EVENTS, type UnpackedEvent } from "../events/batch-format.ts";
import { query, type Store } from "../connection/create-store.ts";
import { forEachWord, hashOfProperty, looksLikeJson, WordFilter } from "./event-words.ts";
import { sql, statement } from "../connection/sql.ts";

/** Events of one batch that follow each other, and which words may stand in them. */
export interface Run {
  readonly day: string;
  readonly seq: number;
  readonly lastSeq: number;
  readonly events: number;
  readonly words: Buffer | null;
}

// The filters travel as one run of bytes, cut up here: an array of bytea is twice as long. A run that is there already was written
// before, by a commit whose answer got lost.
const RECORD = statement({
  name: "penstock-record-words",
  text: sql`
    INSERT INTO penstock.event_words (day, seq, last_seq, events, received_at, words)
    SELECT r.day, r.seq, r.last_seq, r.events, timestamptz 'epoch' + r.received_us * interval '1 microsecond',
           CASE WHEN r.bytes > 0
                 -- Erased before its filter was written: the filter has words that are gone.
                 AND NOT EXISTS (SELECT FROM penstock.erased_events x WHERE x.day = r.day AND x.seq BETWEEN r.seq AND r.last_seq)
                THEN substr(${{ words: "bytea" }}, r.at + 1, r.bytes) END
      FROM unnest(${{ days: "date[]", seqs: "int8[]", lastSeqs: "int8[]", events: "int2[]" }},
                  ${{ receivedUs: "int8[]", ats: "int4[]", lengths: "int4[]" }})
           AS r (day, seq, last_seq, events, received_us, at, bytes)
        ON CONFLICT DO NOTHING`,
});

/** One for all, since a run is made without a pause: a new one costs more than to fill it with one event. */
const filter = new WordFilter();

/** Cuts events, in the order of their seqs, into runs of one batch each, as long as a filter holds. */
function toRuns(events: readonly UnpackedEvent[]): Run[] {
  const runs: Run[] = [];
  filter.clear();
  let first = 0;
  events.forEach((event, at) => {
    addWords(event);
    const next = events[at + 1];
    if (next !== undefined && !filter.isFull && batchOf(next) === batchOf(event)) return;
    const { day, seq } = events[first] ?? event;
    runs.push({ day, seq, lastSeq: event.seq, events: at + 1 - first, words: filter.pack() });
    filter.clear();
    first = at + 1;
  });
  return runs;
}

const batchOf = ({ seq }: { readonly seq: number }): number => Math.floor(seq / BATCH_EVENTS);

/** The filter of a run. */
export function wordsOf(events: readonly Worded[]): Buffer | null {
  filter.clear();
  for (const event of events) addWords(event);
  return filter.pack();
}

type Worded = Pick<UnpackedEvent, "source" | "type" | "subjects" | "body">;

function addWords({ source, type, subjects, body }: Worded): void {
  filter.add(hashOfProperty("source", source));
  if (type !== null) {
    filter.add(hashOfProperty("type", type));
    // For a search by `message.*`.
    for (let dot = type.indexOf("."); dot !== -1; dot = type.indexOf(".", dot + 1)) {
      filter.add(hashOfProperty("type", type.slice(0, dot + 1)));
    }
  }
  for (const subject of subjects) filter.add(hashOfProperty("subject", subject));
  forEachWord(body, looksLikeJson(body), filter.add);
}

/** While so many wait, no more are taken: their events are looked at one by one. */
const MOST_RUNS = 10_000;

/** What a search looks at before it looks at events: gathered as events are recorded, and written once in a while. */
export interface RecentWords {
  /** Takes events that were recorded and committed, in the order of their seqs. */
  add(events: readonly UnpackedEvent[], receivedUs: ReadonlyMap<number, string>): void;
  /** Writes what was added. What cannot be written is written by the next call. */
  write(): Promise<void>;
}

/**
 * Keeps filters of words until they are written. This is not done in the transaction that records the events: a search
 * looks at each event that has no filter, so a filter may be late, and those of a vanished worker are missed by nobody.
 */
export function createRecentWords(store: Store): RecentWords {
  let waiting: (Run & { readonly receivedUs: string })[] = [];
  return {
    add(events, receivedUs) {
      if (waiting.length >= MOST_RUNS) return;
      for (const run of toRuns(events)) waiting.push({ ...run, receivedUs: receivedUs.get(batchOf(run)) ?? "0" });
    },
    async write() {
      if (waiting.length === 0) return;
      const runs = waiting;
      waiting = [];
      const lengths = runs.map(({ words }) => words?.length ?? 0);
      let end = 0;
      try {
        await query(store.pool, RECORD, {
          words: Buffer.concat(runs.flatMap(({ words }) => words ?? [])),
          days: runs.map(({ day }) => day),
          seqs: runs.map(({ seq }) => seq),
          lastSeqs: runs.map(({ lastSeq }) => lastSeq),
          events: runs.map((run) => run.events),
          receivedUs: runs.map(({ receivedUs }) => receivedUs),
          ats: lengths.map((length) => (end += length) - length),
          lengths,
        });
      } catch (error) {
        waiting = [...runs, ...waiting];
        throw error;
      }
    },
  };
}
