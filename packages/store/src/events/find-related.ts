import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import type { DeliveryStateName } from "../deliveries/delivery-filter.ts";
import { type EventSummary, summarise } from "./event-summary.ts";
import type { EventPointer } from "./find-events.ts";

/** What has to do with an event, beside the events with the same subject, which a search finds. */
export interface RelatedEvents {
  /** How often the event came again with the same body, counted up to {@link COPY_COUNT_LIMIT}; copies are not kept. */
  readonly copies: { readonly count: number; readonly lastAt: string | null };
  /** What waits, runs or is dead in the lanes of the event's deliveries, in the order of each lane. */
  readonly lanes: readonly {
    readonly subscriber: string;
    readonly lane: string;
    readonly deliveries: readonly { readonly state: DeliveryStateName; readonly event: EventSummary }[];
  }[];
  /** Replays that took a delivery of the event or made an event of it, the newest first. */
  readonly replays: readonly {
    readonly id: string;
    readonly status: string;
    readonly reason: string | null;
    readonly createdAt: string;
  }[];
  /** Events that replays made of this one, with another body. */
  readonly made: readonly EventSummary[];
}

/** A larger number is not worth its cost. */
export const COPY_COUNT_LIMIT = 1_000;

const MOST_IN_LANE = 20;
const seq = { seq: "int8" } as const;
const day = { day: "date" } as const;

const COPIES = statement({
  rows: { count: "int4", lastAt: "timestamptz?" },
  text: sql`
    SELECT count(*)::int AS count, max(received_at) AS "lastAt"
      FROM (SELECT received_at FROM penstock.event_copies WHERE seq = ${seq} LIMIT ${COPY_COUNT_LIMIT}) AS c`,
});

// By the index of lanes, which has only what has not ended.
const IN_LANES = statement({
  rows: { subscriber: "text", lane: "text", state: "text", day: "text", seq: "int8" },
  text: sql`
    SELECT own.subscriber, own.lane, d.state, d.day::text, d.seq
      FROM penstock.deliveries own,
           LATERAL (SELECT state, day, seq, lane_at FROM penstock.deliveries
                     WHERE subscriber = own.subscriber AND lane = own.lane AND lane IS NOT NULL
                       AND state IN ('pending', 'running', 'retrying', 'dead')
                     ORDER BY lane_at, seq LIMIT ${MOST_IN_LANE}) AS d
     WHERE own.day = ${day} AND own.seq = ${seq} AND own.lane IS NOT NULL
     ORDER BY own.subscriber, d.lane_at, d.seq`,
});

const REPLAYS = statement({
  rows: { id: "text", status: "text", reason: "text?", createdAt: "timestamptz" },
  text: sql`
    SELECT id, status, reason, created_at AS "createdAt" FROM penstock.replays
     WHERE id IN (SELECT replay_id FROM penstock.deliveries WHERE day = ${day} AND seq = ${seq}
                  UNION SELECT replay_id FROM penstock.attempts WHERE day = ${day} AND seq = ${seq}
                  UNION SELECT replay_id FROM penstock.events WHERE replay_of = ${seq} AND day >= ${day})
     ORDER BY created_at DESC, id LIMIT 50`,
});

const MADE = statement({
  rows: { day: "text", seq: "int8" },
  text: sql`
    SELECT day::text, seq FROM penstock.events WHERE replay_of = ${seq} AND day >= ${day} ORDER BY seq DESC LIMIT 50`,
});

export async function findRelated(store: Store, event: EventPointer): Promise<RelatedEvents> {
  const key = { day: event.day, seq: event.seq };
  const [copies, inLanes, replays, made] = await Promise.all([
    query(store.pool, COPIES, { seq: event.seq }),
    query(store.pool, IN_LANES, key),
    query(store.pool, REPLAYS, key),
    query(store.pool, MADE, key),
  ]);
  const others = inLanes.rows.filter((row) => Number(row.seq) !== event.seq);
  const pointers = [...others, ...made.rows].map((row) => ({ day: row.day, seq: Number(row.seq) }));
  const events = new Map((await summarise(store, pointers)).map((one) => [one.seq, one]));
  return {
    copies: {
      count: copies.rows[0]?.count ?? 0,
      lastAt: copies.rows[0]?.lastAt?.toISOString() ?? null,
    },
    lanes: Array.from(Map.groupBy(inLanes.rows, ({ subscriber }) => subscriber).values(), (rows) => ({
      subscriber: rows[0]?.subscriber ?? "",
      lane: rows[0]?.lane ?? "",
      deliveries: rows.flatMap(({ seq, state }) => {
        const found = events.get(Number(seq));
        return found === undefined || Number(seq) === event.seq
          ? []
          : [{ state: state as DeliveryStateName, event: found }];
      }),
    })).filter(({ deliveries }) => deliveries.length > 0),
    replays: replays.rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() })),
    made: made.rows.flatMap((row) => events.get(Number(row.seq)) ?? []),
  };
}
