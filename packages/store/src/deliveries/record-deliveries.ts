import type { DeliveryResult } from "@penstock/engine";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

// No ON CONFLICT: where the delivery exists, so does the effect, and the transaction must fail.
// clock_timestamp(): now() is when the transaction began, so a wait could be over before the handler has ended.
const INSERT = statement({
  name: "penstock-record-deliveries",
  text: sql`
    INSERT INTO penstock.deliveries
           (day, seq, subscriber, state, attempts, changed_at, next_attempt_at, lane, lane_at)
    SELECT day, seq, subscriber, state, attempts, clock_timestamp(),
           clock_timestamp() + make_interval(secs => retry_in_ms / 1000), lane, lane_at
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", states: "text[]", attempts: "int2[]" }},
                  ${{ retriesInMs: "float8[]", lanes: "text[]", lanesAt: "timestamptz[]" }})
           AS d (day, seq, subscriber, state, attempts, retry_in_ms, lane, lane_at)`,
});

/** Writes the first record of deliveries, and the attempts that get a row. */
export async function recordDeliveries(
  client: pg.PoolClient,
  workerName: string,
  results: readonly DeliveryResult[],
): Promise<void> {
  if (results.length === 0) return;
  // One delivery wakes its lane; a claim would have to clear further wake-ups one by one.
  const woken = new Set<string>();
  const isFirstOfLane = ({ subscriber, lane }: DeliveryResult): boolean => {
    if (!lane) return true;
    const name = `${subscriber} ${lane.key}`;
    return !woken.has(name) && woken.add(name) !== undefined;
  };
  const recorded = query(client, INSERT, {
    days: results.map(({ event }) => event.day),
    seqs: results.map(({ event }) => event.seq),
    subscribers: results.map(({ subscriber }) => subscriber),
    states: results.map(({ state }) => state),
    attempts: results.map(({ attempts }) => attempts),
    retriesInMs: results.map((result) => (isFirstOfLane(result) ? result.retryInMs : null)),
    lanes: results.map(({ lane }) => lane?.key),
    lanesAt: results.map(({ lane }) => lane?.at),
  });
  await Promise.all([recorded, recordAttempts(client, workerName, results)]);
}

const INSERT_ATTEMPTS = statement({
  text: sql`
    INSERT INTO penstock.attempts
           (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, traceparent,
            place, worker, replay_id)
    SELECT day, seq, subscriber, attempt, started_at, greatest(started_at, clock_timestamp()), outcome, error_class,
           error_message, traceparent, place, ${{ worker: "text", replayId: "text?" }}
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", attempts: "int2[]" }},
                  ${{ startedAt: "timestamptz[]", outcomes: "text[]", errorClasses: "text[]", errorMessages: "text[]" }},
                  ${{ traceparents: "text[]", places: "text[]" }})
           AS a (day, seq, subscriber, attempt, started_at, outcome, error_class, error_message, traceparent, place)`,
});

/** Writes the attempts of results that have one, with the replay that ran them. */
export async function recordAttempts(
  client: pg.PoolClient,
  workerName: string,
  results: readonly DeliveryResult[],
  replayId: string | null = null,
): Promise<void> {
  const tried = results.flatMap((result) => (result.attempt ? [{ ...result, attempt: result.attempt }] : []));
  if (tried.length === 0) return;
  await query(client, INSERT_ATTEMPTS, {
    worker: workerName,
    replayId,
    days: tried.map(({ event }) => event.day),
    seqs: tried.map(({ event }) => event.seq),
    subscribers: tried.map(({ subscriber }) => subscriber),
    attempts: tried.map(({ attempts }) => attempts),
    startedAt: tried.map(({ attempt }) => attempt.startedAt),
    outcomes: tried.map(({ attempt }) => attempt.outcome),
    errorClasses: tried.map(({ attempt }) => attempt.errorClass),
    errorMessages: tried.map(({ attempt }) => attempt.errorMessage),
    traceparents: tried.map(({ attempt }) => attempt.traceparent),
    places: tried.map(({ attempt }) => attempt.place),
  });
}
