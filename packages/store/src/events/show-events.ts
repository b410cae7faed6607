import { query, type Store } from "../connection/create-store.ts";
import { findEvents } from "./find-events.ts";
import { type EventSummary, STATUS_JOIN, SUMMARY, SUMMARY_ROW, toSummary, toWaiting } from "./event-summary.ts";
import { readBody, readEvents } from "./read-events.ts";
import { toTerms } from "../search/list-events.ts";
import { toSearch } from "../search/search-terms.ts";
import { searchWaiting } from "../search/search-waiting.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** Bodies are shown whole. */
const MOST_SHOWN = 20;
const NO_BODY = Buffer.alloc(0);

/** An attempt that has a row (all but a first success), or what an operator did in between; see AttemptRow. */
export interface AttemptSummary {
  readonly subscriber: string;
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly worker: string;
  readonly replay: string | null;
}

/** One event: its summary, the attempts of its deliveries and its exact body. */
export interface EventDetail extends EventSummary {
  readonly attempts: readonly AttemptSummary[];
  /** Ids of what it is about; the first one sorts a batch. */
  readonly subjects: readonly string[];
  readonly traceparent: string | null;
  readonly body: Buffer;
}

const SHOW = statement({
  rows: {
    ...SUMMARY_ROW,
    subjects: column<string[]>("text[]"),
    traceparent: "text?",
    attempts: column<AttemptSummary[]>("jsonb"),
  },
  text: sql`
    SELECT ${SUMMARY}, e.subjects, e.traceparent,
           coalesce((SELECT jsonb_agg(jsonb_build_object(
                              'subscriber', a.subscriber, 'attempt', a.attempt, 'startedAt', a.started_at,
                              'endedAt', a.ended_at, 'outcome', a.outcome, 'errorClass', a.error_class,
                              'errorMessage', a.error_message, 'worker', a.worker, 'replay', a.replay_id)
                            ORDER BY a.ended_at, a.started_at)
                       FROM penstock.attempts a WHERE a.day = e.day AND a.seq = e.seq), '[]') AS attempts
      FROM penstock.events e ${STATUS_JOIN}
     WHERE e.day = ANY(${{ days: "date[]" }}) AND e.seq = ANY(${{ seqs: "int8[]" }}) ORDER BY e.seq`,
});

/** Events with this id (of all sources, or of one), or the one with this seq, oldest first; see {@link findEvents}. */
export async function showEvents(store: Store, idOrSeq: string, source?: string): Promise<EventDetail[]> {
  const terms = toTerms({ event: idOrSeq, ...(source !== undefined && { source }) });
  const search = await toSearch(store, terms, 0);
  const waiting = await searchWaiting(store, search, { before: null, limit: MOST_SHOWN });
  const found = (await findEvents(store, idOrSeq, source)).slice(-MOST_SHOWN);
  const { rows } = await query(store.pool, SHOW, {
    days: found.map(({ day }) => day),
    seqs: found.map(({ seq }) => seq),
  });
  const bodies = new Map((await readEvents(store.pool, found)).map(({ seq, body }) => [seq, body]));
  const details = rows.map((row): EventDetail => {
    const { attempts, subjects, traceparent } = row;
    return {
      ...toSummary(row),
      attempts,
      subjects,
      traceparent,
      body: row.erased === null ? (bodies.get(Number(row.seq)) ?? NO_BODY) : NO_BODY,
    };
  });
  const processed = new Set(details.map(({ seq }) => seq));
  for (const row of waiting) {
    if (processed.has(Number(row.seq))) continue;
    const body = await readBody(store.pool, row);
    details.push({ ...toWaiting(row), attempts: [], subjects: row.subjects, traceparent: row.traceparent, body });
  }
  return details.toSorted((a, b) => a.seq - b.seq);
}
