import { query, type Store } from "../connection/create-store.ts";
import { IS_UNLEASED, IS_DELIVERABLE } from "./endpoint-health.ts";
import { type Sql, sql, statement } from "../connection/sql.ts";
import { UNTIL_NOW } from "../deliveries/wake-lanes.ts";

const WAITS = `state IN ('pending', 'retrying') AND ${UNTIL_NOW}`;
const PLAIN = `${WAITS} AND lane IS NULL`;
/** Deliveries that wake their lanes. */
const WAKING = `${WAITS} AND lane IS NOT NULL AND next_attempt_at IS NOT NULL`;

// OFFSET 0: without it, Postgres may read everything that waits, or all endpoints.
const openAmong = <Values>(candidates: string | Sql<Values>): Sql<Values> =>
  sql`
  SELECT e.id FROM (${candidates}) AS c (id),
         LATERAL (SELECT e.id, e.leased_until FROM penstock.endpoints e JOIN penstock.handlers h ON h.name = e.id
                   WHERE e.id = c.id AND ${IS_DELIVERABLE} AND ${IS_UNLEASED} OFFSET 0) AS e` as Sql<Values>;

/** The endpoint whose lease ended longest ago first: round robin, where more endpoints are due than workers have slots. */
const THEIR_TURN = sql`ORDER BY e.leased_until NULLS FIRST LIMIT ${{ limit: "int8" }}`;

const isDue = (waits: string): string =>
  `EXISTS (SELECT FROM penstock.deliveries WHERE subscriber = e.id AND ${waits} AND next_attempt_at <= now() OFFSET 0)`;

const AMONG_SOME = statement({
  name: "penstock-are-endpoints-due",
  rows: { id: "text" },
  text: sql`${openAmong(sql`SELECT DISTINCT * FROM unnest(${{ among: "text[]" }})`)}
   WHERE ${isDue(PLAIN)} OR ${isDue(WAKING)} ${THEIR_TURN}`,
});

// Steps by the index from one subscriber with waiting deliveries to the next, and reads the first due delivery of each. So the
// statement reads neither subscribers without deliveries nor more than one delivery per subscriber.
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

/** Endpoints with due deliveries that may be delivered to and that no worker has leased, among those given or all. Takes no locks. */
export async function findDueEndpoints(store: Store, among: readonly string[] | null, limit = 100): Promise<string[]> {
  const { rows } = await (among === null
    ? query(store.pool, ALL, { limit })
    : query(store.pool, AMONG_SOME, { limit, among }));
  return rows.map(({ id }) => id);
}
