/**
 * Puts on record how deliveries ended, from rows `d` of `from`, before they are begun again: a part of a WITH. A first
 * success has no attempt of its own, and neither has what a lane skipped: the delivery's row said it until now.
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
