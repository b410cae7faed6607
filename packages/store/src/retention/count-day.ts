import { command, query, type Queryable } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { partitionOf } from "./list-days.ts";

export interface TypeCount {
  readonly source: string;
  /** Empty: it has none. */
  readonly type: string;
  readonly events: number;
}

const READ = statement({
  rows: { source: "text", type: "text", events: "int8" },
  text: sql`
    SELECT source, type, events FROM penstock.retention_counts WHERE day = ${{ day: "date" }} ORDER BY source, type`,
});

/**
 * How many events of which type a day has. A day that is over and processed changes only by what goes from it, so its events
 * are read once: ten million take seconds.
 */
export async function countDay(db: Queryable, day: string): Promise<TypeCount[]> {
  let { rows } = await query(db, READ, { day });
  if (rows.length === 0) {
    await command(
      db,
      `INSERT INTO penstock.retention_counts (day, source, type, events)
       SELECT '${day}', source, coalesce(type, ''), count(*) FROM ${partitionOf("events", day)} GROUP BY 2, 3
           ON CONFLICT DO NOTHING`,
    );
    ({ rows } = await query(db, READ, { day }));
  }
  return rows.map((row) => ({ ...row, events: Number(row.events) }));
}
