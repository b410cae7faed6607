import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";
import { lockLanes, toColumns, wakeLanes } from "../deliveries/wake-lanes.ts";

// A delivery that was tried because of this replay, or retried by an operator since, is not put back. Nor is one with an effect
// of this generation (a worker that stopped has handed it back): a later replay would take the effect for done.
const BEGUN = `(d.attempts > 0 OR EXISTS (
  SELECT FROM penstock.attempts a
   WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND a.replay_id = r.id)
  OR r.again AND EXISTS (
  SELECT FROM penstock.effects f WHERE f.day = d.day AND f.seq = d.seq AND f.subscriber = d.subscriber AND f.generation = d.generation))`;

// Deliveries of the locked lanes. Deliveries that took a place in a lane meanwhile come in the next round.
const IN_HAND = sql`(d.lane IS NULL OR (d.subscriber, d.lane) IN (SELECT * FROM unnest(${{ subscribers: "text[]", lanes: "text[]" }})))`;

// Waits for a page that is being handed out, since the replay's row is locked then. The next statement undoes that page: the
// snapshot of this one may be from before it.
const CANCEL = statement({
  text: sql`
    UPDATE penstock.replays SET status = 'cancelled', ended_at = now()
     WHERE id = ${{ id: "text" }} AND status = 'running'`,
});

const UNDO = statement({
  rows: { undone: "int4", cancelled: "int4" },
  text: sql`
    WITH replay AS (
      SELECT id, again FROM penstock.replays WHERE id = ${{ id: "text" }}
    ), dropped AS (
      DELETE FROM penstock.deliveries d USING replay r
       WHERE d.replay_id = r.id AND d.state = 'pending' AND NOT ${BEGUN} AND d.replayed_from IS NULL
         AND ${IN_HAND}
      RETURNING 1
    ), restored AS (
      UPDATE penstock.deliveries d
         SET state = d.replayed_from, next_attempt_at = NULL, replayed_from = NULL,
             generation = d.generation - r.again::int,
             -- As the delivery's end was put on record before it was handed out.
             (attempts, changed_at, replay_id) = (
               SELECT coalesce(last.attempt, (d.replayed_from = 'succeeded')::int), coalesce(last.ended_at, now()),
                      last.replay_id
                 FROM (SELECT) AS one LEFT JOIN LATERAL (
                        SELECT * FROM penstock.attempts a
                         WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber
                         ORDER BY a.ended_at DESC, a.attempt DESC LIMIT 1) AS last ON true)
        FROM replay r
       WHERE d.replay_id = r.id AND d.state = 'pending' AND NOT ${BEGUN} AND d.replayed_from IS NOT NULL
         AND ${IN_HAND}
      RETURNING 1
    ), ended AS (
      UPDATE penstock.deliveries d SET state = 'cancelled', next_attempt_at = NULL, changed_at = now() FROM replay r
       WHERE d.replay_id = r.id AND (d.state = 'retrying' OR d.state = 'pending' AND ${BEGUN})
         AND ${IN_HAND}
      RETURNING d.*
    ), on_record AS (
      INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker, replay_id)
      SELECT day, seq, subscriber, attempts, now(), now(), 'cancelled', 'replay cancel', replay_id FROM ended
    ), counted AS (
      SELECT (SELECT count(*) FROM dropped) + (SELECT count(*) FROM restored) AS undone,
             (SELECT count(*) FROM ended) AS cancelled
    ), noted AS (
      UPDATE penstock.replays r SET undone = r.undone + c.undone FROM counted c WHERE r.id = ${{ id: "text" }}
    )
    SELECT undone::int, cancelled::int FROM counted`,
});

const LANES_OF = statement({
  rows: { subscriber: "text", lane: "text" },
  text: sql`
    SELECT DISTINCT subscriber, lane FROM penstock.deliveries
     WHERE replay_id = ${{ id: "text" }} AND state IN ('pending', 'retrying') AND lane IS NOT NULL`,
});

/** What cancelling a replay did: deliveries put back as before, and deliveries cancelled between two attempts. */
export interface CancelledReplay {
  readonly undone: number;
  readonly cancelled: number;
}

/**
 * Cancels a replay. It hands out no more; deliveries that were not started are put back as before, and deliveries that wait for a
 * retry are cancelled. Running deliveries go on. Null when the replay is not running.
 */
export async function cancelReplay(store: Store, id: string, actor: string): Promise<CancelledReplay | null> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, CANCEL, { id });
    if (rowCount === 0) return null;
    const total = { undone: 0, cancelled: 0 };
    for (;;) {
      const { rows: lanes } = await query(client, LANES_OF, { id });
      await lockLanes(client, lanes);
      const { rows } = await query(client, UNDO, { id, ...toColumns(lanes) });
      await wakeLanes(client, lanes);
      const { undone = 0, cancelled = 0 } = rows[0] ?? {};
      total.undone += undone;
      total.cancelled += cancelled;
      if (undone + cancelled > 0) continue;
      await recordAudit(client, { actor, action: "replay.cancel", target: id, detail: total });
      return total;
    }
  });
}
