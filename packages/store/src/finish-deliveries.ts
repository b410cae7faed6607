import type { ClaimedDelivery, EngineStore } from "@penstock/engine";
import type pg from "pg";
import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Queryable, type Store } from "./create-store.ts";
import { finishDelivery } from "./finish-delivery.ts";
import { recordAttempts } from "./record-deliveries.ts";
import { transaction } from "./transaction.ts";

type Finished = Parameters<EngineStore["finishDeliveries"]>[0];

// Row by row by key, whatever the statistics say: see claim-batches.ts.
/** The one statement by which a running delivery becomes what came of it. */
const FINISH = {
  name: "penstock-finish-deliveries",
  text: `
    UPDATE penstock.deliveries d
       SET state = r.state, attempts = r.attempts, token = NULL, lease_until = NULL, changed_at = clock_timestamp(),
           next_attempt_at = clock_timestamp() + make_interval(secs => r.retry_in_ms / 1000),
           lane = coalesce(r.lane, d.lane), lane_at = coalesce(r.lane_at, d.lane_at), skip_reason = r.skip_reason
      FROM (SELECT day, seq, subscriber, token, attempts, lane, lane_at, skip_reason,
                   -- Of an endpoint that was deleted meanwhile nothing waits.
                   CASE WHEN is_gone THEN 'cancelled' ELSE state END AS state,
                   CASE WHEN NOT is_gone THEN retry_in_ms END AS retry_in_ms
              FROM (SELECT *, state IN ('pending', 'retrying') AND starts_with(subscriber, '${ENDPOINT_PREFIX}')
                              AND NOT EXISTS (SELECT FROM penstock.endpoints e WHERE e.id = subscriber) AS is_gone
                      FROM unnest($1::date[], $2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::smallint[], $7::float8[],
                                  $8::text[], $9::timestamptz[], $10::text[])
                           AS r (day, seq, subscriber, token, state, attempts, retry_in_ms, lane, lane_at, skip_reason)
                   ) AS given) AS r
     WHERE d.day = r.day AND d.seq = r.seq AND d.subscriber = r.subscriber AND d.token = r.token
       AND (d.state = 'running') IS TRUE
    RETURNING d.seq::text, d.subscriber`,
};

/** Writes what became of running deliveries, many at once; see EngineStore.finishDeliveries. */
export async function finishDeliveries(
  store: Store,
  workerName: string,
  finished: Finished,
): Promise<readonly ClaimedDelivery[]> {
  const inLanes = finished.filter(({ delivery }) => delivery.lane !== null);
  const others = finished.filter(({ delivery }) => delivery.lane === null);
  const written: ClaimedDelivery[] = [];
  // What succeeds at the first try, as by far the most do, is one statement and its own transaction.
  if (others.length > 0 && others.every(({ result }) => result.attempt === undefined)) {
    written.push(...(await finish(store.pool, others)));
  } else if (others.length > 0) {
    written.push(...(await transaction(store, (client) => finishWithin(client, workerName, others))));
  }
  if (inLanes.length > 0) {
    // In the one order in which lanes are locked.
    const sorted = inLanes.toSorted((a, b) => ((a.delivery.lane ?? "") < (b.delivery.lane ?? "") ? -1 : 1));
    const done = await transaction(store, async (client) => {
      const ours: ClaimedDelivery[] = [];
      for (const { delivery, result } of sorted) {
        if (await finishDelivery(client, workerName, delivery, result)) ours.push(delivery);
      }
      return ours;
    });
    written.push(...done);
  }
  return written;
}

/** The same within a transaction, of deliveries that are in no lane; see EngineTransaction.finishDeliveries. */
export async function finishWithin(
  client: pg.PoolClient,
  workerName: string,
  finished: Finished,
): Promise<ClaimedDelivery[]> {
  const ours = new Set(await finish(client, finished));
  const byReplay = Map.groupBy(
    finished.filter(({ delivery }) => ours.has(delivery)),
    ({ delivery }) => delivery.replay?.id ?? null,
  );
  for (const [replay, of] of byReplay) {
    await recordAttempts(
      client,
      workerName,
      of.map(({ result }) => result),
      replay,
    );
  }
  return [...ours];
}

async function finish(db: Queryable, finished: Finished): Promise<ClaimedDelivery[]> {
  const { rows } = await query<{ seq: string; subscriber: string }>(db, FINISH, [
    finished.map(({ delivery }) => delivery.day),
    finished.map(({ delivery }) => delivery.seq),
    finished.map(({ delivery }) => delivery.subscriber),
    finished.map(({ delivery }) => delivery.token),
    finished.map(({ result }) => result.state),
    finished.map(({ result }) => result.attempts),
    finished.map(({ result }) => result.retryInMs ?? null),
    finished.map(({ result }) => result.lane?.key ?? null),
    finished.map(({ result }) => result.lane?.at ?? null),
    finished.map(({ result }) => result.skipReason ?? null),
  ]);
  const written = new Set(rows.map(({ seq, subscriber }) => `${seq} ${subscriber}`));
  return finished.flatMap(({ delivery }) => (written.has(`${delivery.seq} ${delivery.subscriber}`) ? [delivery] : []));
}
