import type pg from "pg";
import { BATCH_EVENTS, type UnpackedEvent } from "../events/batch-format.ts";
import { query } from "../connection/create-store.ts";
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

// The filters travel as one run of bytes, cut up here: an array of bytea is twice as long.
const RECORD = statement({
  name: "penstock-record-words",
  text: sql`
    INSERT INTO penstock.event_words (day, seq, last_seq, events, received_at, words)
    SELECT r.day, r.seq, r.last_seq, r.events, timestamptz 'epoch' + r.received_us * interval '1 microsecond',
           CASE WHEN r.bytes > 0 THEN substr(${{ words: "bytea" }}, r.at + 1, r.bytes) END
      FROM unnest(${{ days: "date[]", seqs: "int8[]", lastSeqs: "int8[]", events: "int2[]" }},
                  ${{ receivedUs: "int8[]", ats: "int4[]", lengths: "int4[]" }})
           AS r (day, seq, last_seq, events, received_us, at, bytes)`,
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

const batchOf = ({ seq }: UnpackedEvent): number => Math.floor(seq / BATCH_EVENTS);

function addWords({ source, type, subjects, body }: UnpackedEvent): void {
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

/** Writes what a search looks at before it looks at events; in the transaction that records them. */
export async function recordWords(
  client: pg.PoolClient,
  events: readonly UnpackedEvent[],
  receivedUs: ReadonlyMap<number, string>,
): Promise<void> {
  if (events.length === 0) return;
  const runs = toRuns(events);
  const lengths = runs.map(({ words }) => words?.length ?? 0);
  let end = 0;
  await query(client, RECORD, {
    words: Buffer.concat(runs.flatMap(({ words }) => words ?? [])),
    days: runs.map(({ day }) => day),
    seqs: runs.map(({ seq }) => seq),
    lastSeqs: runs.map(({ lastSeq }) => lastSeq),
    events: runs.map((run) => run.events),
    receivedUs: runs.map(({ seq }) => receivedUs.get(Math.floor(seq / BATCH_EVENTS)) ?? "0"),
    ats: lengths.map((length) => (end += length) - length),
    lengths,
  });
}
