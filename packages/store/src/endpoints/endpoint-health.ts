import { randomUUID } from "node:crypto";
import type { EndpointDisablement, EngineStore, LeasedEndpoint } from "@penstock/engine";
import { ENDPOINT_PREFIX, type EndpointDisabled, OWN_SOURCE } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { insertBatch } from "../events/insert-batch.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { UNTIL_NOW } from "../deliveries/wake-lanes.ts";

/** With fewer failures in a row, an endpoint that seldom gets a delivery would be disabled for a single bad day. */
const FEWEST_FAILURES = 10;

/** SQL: the endpoint `e`, with its row `h` of handlers, may be delivered to. */
export const IS_DELIVERABLE =
  "h.paused_at IS NULL AND e.disabled_at IS NULL AND (e.parked_until IS NULL OR e.parked_until <= now())";

/** SQL: deliveries of the subscriber may start. A subscriber that nobody has registered can only be a handler. */
export const IS_STARTABLE = sql`
  coalesce((SELECT ${IS_DELIVERABLE} FROM penstock.handlers h LEFT JOIN penstock.endpoints e ON e.id = h.name
             WHERE h.name = ${{ subscriber: "text" }} LIMIT 1), NOT starts_with(${{ subscriber: "text" }}, '${ENDPOINT_PREFIX}'))`;

/** SQL: no worker has leased the endpoint `e`. */
export const IS_UNLEASED = "(e.leased_until IS NULL OR e.leased_until <= now())";

const id = { id: "text" } as const;

const LEASE = statement({
  name: "penstock-lease-endpoint",
  rows: {
    filter: column<LeasedEndpoint["filter"]>("jsonb"),
    lane: "text?",
    url: "text",
    header_name: "text?",
    secret: "text",
    previous_secret: "text?",
    concurrency: "int4",
    rate_per_second: "int4?",
    schedule_ms: "float8[]?",
    failures: "int4",
    parks: "int4",
    has_lanes: "bool",
  },
  text: sql`
    WITH leased AS (
      UPDATE penstock.endpoints e
         SET leased_by = ${{ token: "uuid" }}, leased_until = now() + make_interval(secs => ${{ leaseMs: "float8" }} / 1000)
        FROM penstock.handlers h
       WHERE e.id = ${id} AND h.name = e.id AND ${IS_DELIVERABLE}
         AND (e.leased_by = ${{ token: "uuid" }} OR ${IS_UNLEASED})
      RETURNING e.*
    )
    SELECT e.filter, e.lane, e.url, e.header_name, e.secret,
           CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret,
           e.concurrency, e.rate_per_second, e.schedule_ms, e.failures, e.parks,
           EXISTS (SELECT FROM penstock.deliveries
                    WHERE subscriber = ${id} AND state IN ('pending', 'retrying') AND lane IS NOT NULL
                      AND next_attempt_at IS NOT NULL AND ${UNTIL_NOW} OFFSET 0) AS has_lanes
      FROM leased e`,
});

/** Leases an endpoint; see EngineStore.leaseEndpoint. */
export async function leaseEndpoint(
  store: Store,
  id: string,
  { token, leaseMs }: Parameters<EngineStore["leaseEndpoint"]>[1],
): Promise<LeasedEndpoint | null> {
  const [row] = (await query(store.pool, LEASE, { id, token, leaseMs })).rows;
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
    health: { failures: row.failures, openings: row.parks },
  };
}

const failures = { failures: "int4" } as const;

const SAVE_HEALTH = statement({
  rows: { failures: "int4", failing_for_s: "float8", by_count: "bool", by_time: "bool" },
  text: sql`
    UPDATE penstock.endpoints
       SET failures = ${failures}, parks = ${{ openings: "int4" }}, last_error = coalesce(${{ lastError: "text?" }}, last_error),
           last_error_at = CASE WHEN ${{ lastError: "text?" }} IS NULL THEN last_error_at ELSE now() END,
           failing_since = CASE WHEN ${failures} > 0 THEN coalesce(failing_since, now()) END,
           parked_until = now() + make_interval(secs => ${{ openForMs: "float8?" }} / 1000)
     WHERE id = ${id}
    RETURNING failures, extract(epoch FROM now() - failing_since)::float8 AS failing_for_s,
              coalesce(failures >= disable_after_failures, false) AS by_count,
              failures >= ${FEWEST_FAILURES} AND failing_since <= now() - make_interval(secs => disable_after_ms / 1000)
                AS by_time`,
});

/** Writes an endpoint's health; see EngineStore.saveEndpointHealth. */
export async function saveEndpointHealth(
  store: Store,
  id: string,
  { failures, openings, openForMs, lastError }: Parameters<EngineStore["saveEndpointHealth"]>[1],
): Promise<EndpointDisablement | null> {
  const [row] = (await query(store.pool, SAVE_HEALTH, { id, failures, openings, openForMs, lastError })).rows;
  if (row === undefined || !(row.by_count || row.by_time)) return null;
  const inARow = `it has failed ${row.failures} times in a row`;
  return { reason: row.by_count ? inARow : `${inARow}, for ${Math.round(row.failing_for_s / 60)} minutes` };
}

const RELEASE = statement({
  text: sql`
    UPDATE penstock.endpoints SET leased_by = NULL, leased_until = now()
     WHERE id = ${id} AND leased_by = ${{ token: "uuid" }}`,
});

/** Ends the lease of an endpoint; see EngineStore.releaseEndpoint. */
export async function releaseEndpoint(store: Store, id: string, token: string): Promise<void> {
  await query(store.pool, RELEASE, { id, token });
}

const DISABLE = statement({
  rows: { url: "text", tenant: "text?", failures: "int4", failing_since: "timestamptz?", disabled_at: "timestamptz" },
  text: sql`
    WITH counted AS (UPDATE penstock.endpoint_changes SET n = n + 1)
    UPDATE penstock.endpoints SET disabled_at = now(), disabled_reason = ${{ reason: "text" }}, parked_until = NULL
     WHERE id = ${id} AND disabled_at IS NULL
    RETURNING url, tenant, failures, failing_since, disabled_at`,
});

/** Disables an endpoint and makes the event `endpoint.disabled`; see EngineStore.disableEndpoint. */
export async function disableEndpoint(store: Store, id: string, { reason }: EndpointDisablement): Promise<boolean> {
  return transaction(store, async (client) => {
    const [row] = (await query(client, DISABLE, { id, reason })).rows;
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
    // Stored as intake stores accepted events; a sweep adds the job.
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
