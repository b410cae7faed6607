import { command, query, type Store } from "../connection/create-store.ts";
import type { NewReplay } from "./create-replay.ts";
import { eventMatches, NOT_ERASED } from "../deliveries/delivery-filter.ts";
import { isMeant, wantsType } from "./replayed-subscribers.ts";
import { codeOf } from "../connection/errors.ts";
import { column, type Sql, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";

/** What a replay would run, were it created now. */
export interface ReplayCount {
  /** Deliveries, or events for those in quarantine; counted up to {@link REPLAY_COUNT_LIMIT}, from the oldest on. */
  readonly total: number;
  /** By handler. Events in quarantine have none yet. */
  readonly handlers: readonly { readonly name: string; readonly kind: string; readonly count: number }[];
  /** Events in quarantine. */
  readonly quarantined: number;
  /** When the oldest event that matches was received; null without one. */
  readonly oldest: Date | null;
}

/** A larger number is not worth its cost. */
export const REPLAY_COUNT_LIMIT = 100_000;

/** A count may have to read a whole archive to find nothing. */
const TIME_OUT = "5s";

// The same deliveries as in advance-replay.ts, without those that wait or run. By scalar subqueries: a join would read whole
// tables.
const stateOf =
  "(SELECT o.state FROM penstock.deliveries o WHERE o.day = e.day AND o.seq = e.seq AND o.subscriber = h.name)";
const handler = sql`${{ handler: "text?" }}`;
const state = sql`${{ state: "text?" }}`;
const ofEvents = (delivery: string) => sql`
  SELECT h.name, h.kind, e.received_at, e.day, e.seq FROM penstock.events e CROSS JOIN penstock.handlers h
   WHERE ${eventMatches("e")} AND ${NOT_ERASED} AND ${isMeant(handler, "h")} AND ${wantsType("e.type", "h")}
     AND (SELECT q.seq FROM penstock.quarantine q WHERE q.day = e.day AND q.seq = e.seq) IS NULL
     AND ${state} IS NULL AND ${delivery}`;
const ROW_OF = "CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e";
const issue = sql`d.issue = ${{ issue: "int4?" }}`;
const ofState = <Values>(which: Sql<Values>) => sql`
  SELECT h.name, h.kind, e.received_at, e.day, e.seq
    FROM penstock.deliveries d ${ROW_OF} JOIN penstock.handlers h ON h.name = d.subscriber
   WHERE d.state = ${state} AND ${which} AND ${isMeant(handler, "h")} AND ${eventMatches("d")} AND ${NOT_ERASED}`;
const quarantined = <Values>(which: Sql<Values>) => sql`
  SELECT NULL, NULL, e.received_at, e.day, e.seq FROM penstock.quarantine d ${ROW_OF}
   WHERE ${which} AND ${eventMatches("d")} AND ${NOT_ERASED} AND (d.dismissed_at IS NULL OR ${{ seqs: "int8[]?" }} IS NOT NULL)
     AND ${handler} IS NULL AND ${state} IS NULL`;

const ALL = sql`true`;
const ENDED = ofEvents(`${stateOf} IN ('succeeded', 'dead')`);

const countOf = <Values>(found: Sql<Values>) =>
  statement({
    rows: { name: "text?", kind: column<string>("text"), count: "int4", oldest: "timestamptz" },
    text: sql`
      SELECT name, kind, count(*)::int, min(received_at) AS oldest
        FROM (${found} ORDER BY day, seq LIMIT ${REPLAY_COUNT_LIMIT}) AS f (name, kind, received_at, day, seq)
       GROUP BY 1, 2 ORDER BY 1`,
  });
const COUNT = {
  ended: countOf(ENDED),
  endedOrQuarantined: countOf(sql`${ENDED} UNION ALL ${quarantined(ALL)}`),
  ofState: countOf(ofState(ALL)),
  ofIssue: countOf(ofState(issue)),
  missing: countOf(ofEvents(`${stateOf} IS NULL`)),
  quarantined: countOf(quarantined(ALL)),
  quarantinedOfIssue: countOf(quarantined(issue)),
};

/** Counts what a replay would run; null when the count takes too long. */
export async function countReplay(
  store: Store,
  { source, type, since, until, subject, handler, state, event, among, issue }: Omit<NewReplay, "id" | "request">,
): Promise<ReplayCount | null> {
  const ofIssue = among === "quarantined" ? "quarantinedOfIssue" : "ofIssue";
  const unnamed = state !== undefined ? "ofState" : event !== undefined ? "endedOrQuarantined" : "ended";
  const pointer = { seqs: event && [event.seq], days: event && [event.day] };
  const values = { source, type, since, until, subject, ...pointer, handler, state, issue };
  try {
    return await transaction(store, async (client) => {
      await command(client, `SET LOCAL statement_timeout = '${TIME_OUT}'`);
      const { rows } = await query(client, COUNT[issue === undefined ? (among ?? unnamed) : ofIssue], values);
      return {
        total: rows.reduce((sum, { count }) => sum + count, 0),
        handlers: rows.flatMap(({ name, kind, count }) => (name === null ? [] : [{ name, kind, count }])),
        quarantined: rows.find(({ name }) => name === null)?.count ?? 0,
        oldest: rows.reduce<Date | null>((first, { oldest }) => (first && first < oldest ? first : oldest), null),
      };
    });
  } catch (error) {
    if (error instanceof Error && codeOf(error.cause) === "57014") return null;
    throw error;
  }
}
