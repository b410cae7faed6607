import pg from "pg";
import { command, type Queryable } from "../connection/create-store.ts";
import type { TypeCount } from "./count-day.ts";
import { partitionOf } from "./list-days.ts";

/** Why some events of a day stay when the others go. */
export interface KeptEvents {
  /** `term`: their term is longer. `waiting`: a delivery is not done. `blocking`: a dead letter that others wait behind. */
  readonly reason: "term" | "waiting" | "blocking";
  /** The source; of deliveries the handler or the endpoint. */
  readonly of: string;
  readonly events: number;
}

/** SQL: deliveries that keep their event whatever its term is. */
const alive = (day: string): string => {
  const deliveries = partitionOf("deliveries", day);
  return `
    SELECT seq, 1 AS rank, 'waiting' AS reason, subscriber AS of FROM ${deliveries}
     WHERE state IN ('pending', 'running', 'retrying')
    UNION ALL
    SELECT d.seq, 2, 'blocking', d.subscriber FROM ${deliveries} d
     WHERE d.state = 'dead' AND d.lane IS NOT NULL
       AND EXISTS (SELECT FROM penstock.handlers h WHERE h.name = d.subscriber AND h.on_dead = 'block')
       AND (EXISTS (SELECT FROM penstock.deliveries w
                     WHERE w.subscriber = d.subscriber AND w.lane = d.lane AND w.state IN ('pending', 'retrying'))
         OR EXISTS (SELECT FROM ${deliveries} w
                     WHERE w.subscriber = d.subscriber AND w.lane = d.lane AND w.state IN ('pending', 'retrying')))`;
};

/**
 * SQL: the events of a day that are kept, each once, with the reason. It names the day's tables, which are read in the same way
 * while they are attached and when they are not any more. `keptTypes` are the types whose term is not over.
 */
export function keptEvents(day: string, keptTypes: readonly TypeCount[]): string {
  const ofTerm =
    keptTypes.length === 0
      ? ""
      : `UNION ALL
         SELECT seq, 3, 'term', source FROM ${partitionOf("events", day)}
          WHERE (source, coalesce(type, '')) IN (${keptTypes.map(({ source, type }) => `(${pg.escapeLiteral(source)}, ${pg.escapeLiteral(type)})`).join(", ")})`;
  return `SELECT DISTINCT ON (seq) seq, reason, of FROM (${alive(day)} ${ofTerm}) AS kept ORDER BY seq, rank, of`;
}

/** Counts the rows of a query or table of kept events by reason. */
export async function countKept(db: Queryable, from: string): Promise<KeptEvents[]> {
  const { rows } = await command<{ reason: KeptEvents["reason"]; of: string; events: string }>(
    db,
    `SELECT reason, of, count(*) AS events FROM ${from} AS kept GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows.map((row) => ({ ...row, events: Number(row.events) }));
}
