/**
 * SQL, as a part of a WITH: puts the end of deliveries `d` of `from` on record before they start again. A first success and a
 * delivery that a lane skipped have no attempt: until now, only the row of the delivery tells the end.
 *
 * By a scalar subquery: a join would read all attempts.
 */
export const recordEnd = (from: string): string => `
  INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker, replay_id, note)
  SELECT d.day, d.seq, d.subscriber, d.attempts, d.changed_at, d.changed_at, d.state, '', d.replay_id,
         CASE WHEN d.state = 'skipped' THEN d.skip_reason END
    FROM ${from}
   WHERE d.state IN ('succeeded', 'skipped', 'cancelled')
     AND (SELECT 1 FROM penstock.attempts a
           WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND a.ended_at >= d.changed_at
           LIMIT 1) IS NULL`;
