import { query, type Store } from "../connection/create-store.ts";
import { IS_UNLEASED, IS_DELIVERABLE } from "./endpoint-health.ts";
import { type Sql, sql, statement } from "../connection/sql.ts";
import { UNTIL_NOW } from "../deliveries/wake-lanes.ts";

const WAITS = `state IN ('pending', 'retrying') AND ${UNTIL_NOW}`;
const PLAIN = `${WAITS} AND lane IS NULL`;
/** Of what waits in lanes, what wakes them. */
const WAKING = `${WAITS} AND lane IS NOT NULL AND next_attempt_at IS NOT NULL`;

// OFFSET 0: or Postgres may read all that waits, or all endpoints, to look up in it.
const openAmong = <Values>(candidates: string | Sql<Values>): Sql<Values> =>
  sql`
  SELECT e.id FROM (${candidates}) AS c (id),
         LATERAL (SELECT e.id, e.leased_until FROM penstock.endpoints e JOIN penstock.handlers h ON h.name = e.id
                   WHERE e.id = c.id AND ${IS_DELIVERABLE} AND ${IS_UNLEASED} OFFSET 0) AS e` as Sql<Values>;

/** First who was let go longest ago: so each has its turn, where more are due than workers have places. */
const THEIR_TURN = sql`ORDER BY e.leased_until NULLS FIRST LIMIT ${{ limit: "int8" }}`;

const isDue = (waits: string): string =>
  `EXISTS (SELECT FROM penstock.deliveries WHERE subscriber = e.id AND ${waits} AND next_attempt_at <= now() OFFSET 0)`;

const AMONG_SOME = statement({
  name: "penstock-are-endpoints-due",
  rows: { id: "text" },
  text: sql`${openAmong(sql`SELECT DISTINCT * FROM unnest(${{ among: "text[]" }})`)}
   WHERE ${isDue(PLAIN)} OR ${isDue(WAKING)} ${THEIR_TURN}`,
});

// From one subscriber for which something waits to the next by the index, which gives the first to become due of each: so
// the many for which nothing waits are not looked at, and of the many that wait for one only the first is.
const steps = (name: string, waits: string): string => `
  ${name} AS (
    (SELECT subscriber, next_attempt_at FROM penstock.deliveries WHERE ${waits}
      ORDER BY subscriber, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.* FROM ${name} AS before,
           LATERAL (SELECT subscriber, next_attempt_at FROM penstock.deliveries
                     WHERE ${waits} AND subscriber > before.subscriber
                     ORDER BY subscriber, next_attempt_at LIMIT 1) AS next
  )`;

const ALL = statement({
  name: "penstock-find-due-endpoints",
  rows: { id: "text" },
  text: sql`
    WITH RECURSIVE ${steps("plain", PLAIN)}, ${steps("waking", WAKING)}
    ${openAmong("SELECT subscriber FROM (SELECT * FROM plain UNION ALL SELECT * FROM waking) AS f WHERE next_attempt_at <= now() GROUP BY 1")} ${THEIR_TURN}`,
});

/** Endpoints, of these or of all, that may be delivered to, that no worker has, and for which something is due. Takes no locks. */
export async function findDueEndpoints(store: Store, among: readonly string[] | null, limit = 100): Promise<string[]> {
  const { rows } = await (among === null
    ? query(store.pool, ALL, { limit })
    : query(store.pool, AMONG_SOME, { limit, among }));
  return rows.map(({ id }) => id);
}
