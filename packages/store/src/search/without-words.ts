// Events that no filter of words speaks of: of a worker older than the filters, or recorded a moment ago. What reads by runs
// looks at these, too.
import type { Sql } from "../connection/sql.ts";
import { sql } from "../connection/sql.ts";

/**
 * Where there are no filters, from `low` on and below `high`; often nothing is there, since numbers of batches are left out.
 * `runs` are runs of `event_words` in (day, seq), the newest first, each with the day and seq of the run above. The runs of a
 * batch are written together, so that a gap is one or more whole batches. `isLast` tells whether nothing is below these runs.
 */
export const gapsBetween = (runs: string, isLast: Sql): Sql => sql`
  SELECT day AS low_day, (seq / 1024 + 1) * 1024 AS low_seq,
         coalesce(upper_day, 'infinity') AS high_day, coalesce(upper_seq / 1024 * 1024, 0) AS high_seq
    FROM ${runs} WHERE upper_day IS DISTINCT FROM day OR upper_seq / 1024 > seq / 1024 + 1
  UNION ALL
  SELECT '-infinity', 0, coalesce(lowest.day, 'infinity'), coalesce(lowest.seq / 1024 * 1024, 0)
    FROM (SELECT 1) AS one LEFT JOIN (SELECT day, seq FROM ${runs} ORDER BY day, seq LIMIT 1) AS lowest ON true
   WHERE ${isLast}`;

/** Columns of a run: the one above it, in the order that the runs are read in. */
export const UPPER = `
  lag(day) OVER (ORDER BY day DESC, seq DESC) AS upper_day, lag(seq) OVER (ORDER BY day DESC, seq DESC) AS upper_seq`;
