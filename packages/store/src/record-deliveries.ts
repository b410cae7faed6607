import type { DeliveryResult } from "@penstock/engine";
import type pg from "pg";
import { query } from "./create-store.ts";

// No ON CONFLICT: a delivery that is there already means that the effect is, too. The transaction must fail then.
// By the clock and not by now(), which is when the transaction began: a wait would be over before the handler was.
const INSERT = {
  name: "penstock-record-deliveries",
  text: `
    INSERT INTO penstock.deliveries
           (day, seq, subscriber, state, attempts, changed_at, next_attempt_at, lane, lane_at)
    SELECT day, seq, subscriber, state, attempts, clock_timestamp(),
           clock_timestamp() + make_interval(secs => retry_in_ms / 1000), lane, lane_at
      FROM unnest($1::date[], $2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::float8[], $7::text[],
                  $8::timestamptz[])
           AS d (day, seq, subscriber, state, attempts, retry_in_ms, lane, lane_at)`,
};

/** Writes the first record of deliveries, and their attempts where those are worth a row. */
export async function recordDeliveries(
  client: pg.PoolClient,
  workerName: string,
  results: readonly DeliveryResult[],
): Promise<void> {
  if (results.length === 0) return;
  // One of each lane wakes it; the others would be looked at and laid to rest one by one.
  const woken = new Set<string>();
  const isFirstOfLane = ({ subscriber, lane }: DeliveryResult): boolean => {
    if (!lane) return true;
    const name = `${subscriber} ${lane.key}`;
    return !woken.has(name) && woken.add(name) !== undefined;
  };
  const recorded = query(client, INSERT, [
    results.map(({ event }) => event.day),
    results.map(({ event }) => event.seq),
    results.map(({ subscriber }) => subscriber),
    results.map(({ state }) => state),
    results.map(({ attempts }) => attempts),
    results.map((result) => (isFirstOfLane(result) ? (result.retryInMs ?? null) : null)),
    results.map(({ lane }) => lane?.key ?? null),
    results.map(({ lane }) => lane?.at ?? null),
  ]);
  await Promise.all([recorded, recordAttempts(client, workerName, results)]);
}

/** Writes the attempts of deliveries that carry one, and of which replay they are. */
export async function recordAttempts(
  client: pg.PoolClient,
  workerName: string,
  results: readonly DeliveryResult[],
  replayId: string | null = null,
): Promise<void> {
  const tried = results.flatMap((result) => (result.attempt ? [{ ...result, attempt: result.attempt }] : []));
  if (tried.length === 0) return;
  await query(
    client,
    `INSERT INTO penstock.attempts
            (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, traceparent,
             worker, replay_id)
     SELECT day, seq, subscriber, attempt, started_at, greatest(started_at, clock_timestamp()), outcome, error_class,
            error_message, traceparent, $10, $11
       FROM unnest($1::date[], $2::bigint[], $3::text[], $4::smallint[], $5::timestamptz[], $6::text[], $7::text[],
                   $8::text[], $9::text[])
            AS a (day, seq, subscriber, attempt, started_at, outcome, error_class, error_message, traceparent)`,
    [
      tried.map(({ event }) => event.day),
      tried.map(({ event }) => event.seq),
      tried.map(({ subscriber }) => subscriber),
      tried.map(({ attempts }) => attempts),
      tried.map(({ attempt }) => attempt.startedAt),
      tried.map(({ attempt }) => attempt.outcome),
      tried.map(({ attempt }) => attempt.errorClass),
      tried.map(({ attempt }) => attempt.errorMessage),
      tried.map(({ attempt }) => attempt.traceparent),
      workerName,
      replayId,
    ],
  );
}
