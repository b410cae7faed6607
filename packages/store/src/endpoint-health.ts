import { randomUUID } from "node:crypto";
import type { EndpointDisablement, EngineStore, OpenedEndpoint } from "@penstock/engine";
import { ENDPOINT_PREFIX, type EndpointDisabled, OWN_SOURCE } from "@penstock/schemas";
import { query, type Store } from "./create-store.ts";
import { insertBatch } from "./insert-batch.ts";
import { transaction } from "./transaction.ts";
import { UNTIL_NOW } from "./wake-lanes.ts";

/** With fewer failures in a row, one that is seldom delivered to would be disabled for a single bad day. */
const FEWEST_FAILURES = 10;

/** That an endpoint `e` with its row `h` in handlers may be delivered to. */
export const IS_OPEN_ENDPOINT =
  "h.paused_at IS NULL AND e.disabled_at IS NULL AND (e.parked_until IS NULL OR e.parked_until <= now())";

/** That nothing keeps the deliveries of subscriber $1 from being started. One that nobody registered can only be a handler. */
export const IS_OPEN_SUBSCRIBER = `
  coalesce((SELECT ${IS_OPEN_ENDPOINT} FROM penstock.handlers h LEFT JOIN penstock.endpoints e ON e.id = h.name
             WHERE h.name = $1 LIMIT 1), NOT starts_with($1, '${ENDPOINT_PREFIX}'))`;

/** That no worker has endpoint `e`. */
export const IS_FREE_ENDPOINT = "(e.leased_until IS NULL OR e.leased_until <= now())";

interface OpenRow {
  filter: OpenedEndpoint["filter"];
  lane: string | null;
  url: string;
  header_name: string | null;
  secret: string;
  previous_secret: string | null;
  concurrency: number;
  rate_per_second: number | null;
  schedule_ms: number[] | null;
  failures: number;
  parks: number;
  has_lanes: boolean;
}

/** Leases an endpoint that may be delivered to now; see EngineStore.openEndpoint. */
export async function openEndpoint(
  store: Store,
  id: string,
  { token, leaseMs }: Parameters<EngineStore["openEndpoint"]>[1],
): Promise<OpenedEndpoint | null> {
  const { rows } = await query<OpenRow>(
    store.pool,
    {
      name: "penstock-open-endpoint",
      text: `
        WITH leased AS (
          UPDATE penstock.endpoints e SET leased_by = $2, leased_until = now() + make_interval(secs => $3::float8 / 1000)
            FROM penstock.handlers h
           WHERE e.id = $1 AND h.name = e.id AND ${IS_OPEN_ENDPOINT} AND (e.leased_by = $2 OR ${IS_FREE_ENDPOINT})
          RETURNING e.*
        )
        SELECT e.filter, e.lane, e.url, e.header_name, e.secret,
               CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret,
               e.concurrency, e.rate_per_second, e.schedule_ms, e.failures, e.parks,
               EXISTS (SELECT FROM penstock.deliveries
                        WHERE subscriber = $1 AND state IN ('pending', 'retrying') AND lane IS NOT NULL
                          AND next_attempt_at IS NOT NULL AND ${UNTIL_NOW} OFFSET 0) AS has_lanes
          FROM leased e`,
    },
    [id, token, leaseMs],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    id,
    filter: row.filter,
    lane: row.lane,
    url: row.url,
    headerName: row.header_name,
    secrets: row.previous_secret === null ? [row.secret] : [row.secret, row.previous_secret],
    concurrency: row.concurrency,
    ratePerSecond: row.rate_per_second,
    scheduleMs: row.schedule_ms,
    hasLanes: row.has_lanes,
    health: { failures: row.failures, parks: row.parks },
  };
}

/** Writes how an endpoint fares; see EngineStore.noteEndpointHealth. */
export async function noteEndpointHealth(
  store: Store,
  id: string,
  { failures, parks, parkForMs, lastError }: Parameters<EngineStore["noteEndpointHealth"]>[1],
): Promise<EndpointDisablement | null> {
  const { rows } = await query<{ failures: number; failing_for_s: number; by_count: boolean; by_time: boolean }>(
    store.pool,
    `UPDATE penstock.endpoints
        SET failures = $2, parks = $3, last_error = coalesce($5, last_error),
            failing_since = CASE WHEN $2 > 0 THEN coalesce(failing_since, now()) END,
            parked_until = now() + make_interval(secs => $4::float8 / 1000)
      WHERE id = $1
     RETURNING failures, extract(epoch FROM now() - failing_since)::float8 AS failing_for_s,
               coalesce(failures >= disable_after_failures, false) AS by_count,
               failures >= ${FEWEST_FAILURES} AND failing_since <= now() - make_interval(secs => disable_after_ms / 1000)
                 AS by_time`,
    [id, failures, parks, parkForMs, lastError],
  );
  const [row] = rows;
  if (row === undefined || !(row.by_count || row.by_time)) return null;
  const inARow = `it has failed ${row.failures} times in a row`;
  return { reason: row.by_count ? inARow : `${inARow}, for ${Math.round(row.failing_for_s / 60)} minutes` };
}

/** Lets an endpoint go; see EngineStore.closeEndpoint. */
export async function closeEndpoint(store: Store, id: string, token: string): Promise<void> {
  await query(
    store.pool,
    "UPDATE penstock.endpoints SET leased_by = NULL, leased_until = now() WHERE id = $1 AND leased_by = $2",
    [id, token],
  );
}

/** Disables an endpoint and makes the event that tells of it; see EngineStore.disableEndpoint. */
export async function disableEndpoint(store: Store, id: string, { reason }: EndpointDisablement): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rows } = await query<{
      url: string;
      tenant: string | null;
      failures: number;
      failing_since: Date | null;
      disabled_at: Date;
    }>(
      client,
      `WITH counted AS (UPDATE penstock.endpoint_changes SET n = n + 1)
       UPDATE penstock.endpoints SET disabled_at = now(), disabled_reason = $2, parked_until = NULL
        WHERE id = $1 AND disabled_at IS NULL
       RETURNING url, tenant, failures, failing_since, disabled_at`,
      [id, reason],
    );
    const [row] = rows;
    if (row === undefined) return false;
    const data: EndpointDisabled = {
      endpointId: id,
      url: row.url,
      tenant: row.tenant,
      reason,
      failures: row.failures,
      failingSince: row.failing_since?.toISOString() ?? null,
    };
    const eventId = `evt_${randomUUID().replaceAll("-", "")}`;
    const body = JSON.stringify({
      id: eventId,
      type: "endpoint.disabled",
      createdAt: row.disabled_at.toISOString(),
      data,
    });
    // As intake stores what it has accepted; the sweep gives it a job.
    await insertBatch(client, [
      {
        source: OWN_SOURCE,
        eventId,
        key: null,
        type: "endpoint.disabled",
        createdAt: row.disabled_at,
        subjects: [id],
        problem: null,
        traceparent: null,
        bodyVaries: false,
        body: Buffer.from(body),
        replay: null,
      },
    ]);
    return true;
  });
}
