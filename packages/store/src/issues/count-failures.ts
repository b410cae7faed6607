import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** Dead letters of a handler or an endpoint in the hours in which there were some, the oldest first. */
export interface FailuresOf {
  readonly subject: string;
  readonly hours: readonly { readonly at: string; readonly count: number }[];
}

const COUNT = statement({
  rows: { subject: "text", hour: "timestamptz", count: "int8" },
  text: sql`
    SELECT i.subject, h.hour, sum(h.count)::int8 AS count
      FROM penstock.issue_hours h JOIN penstock.issues i ON i.id = h.issue
     WHERE h.hour > now() - interval '24 hours' AND i.kind = 'dead-letter'
     GROUP BY i.subject, h.hour ORDER BY i.subject, h.hour`,
});

/** Dead letters of the last day, by what they are of: from the counts of issues, whatever became of them since. */
export async function countFailures(store: Store): Promise<FailuresOf[]> {
  const { rows } = await query(store.pool, COUNT);
  return Array.from(
    Map.groupBy(rows, ({ subject }) => subject),
    ([subject, hours]) => ({
      subject,
      hours: hours.map(({ hour, count }) => ({ at: hour.toISOString(), count: Number(count) })),
    }),
  );
}
