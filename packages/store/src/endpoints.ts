import { type EndpointSettings, SKIPPED_WHILE_DISABLED } from "@penstock/schemas";
import type pg from "pg";
import { query, type Store } from "./create-store.ts";
import { transaction } from "./transaction.ts";

/**
 * `active`: what is due is sent. `failing`: it has failed, and is left alone for a while before the next try. `paused`: by an
 * operator; what it would get waits. `disabled`: since it failed for too long; what it would get is skipped.
 */
export type EndpointStatus = "active" | "failing" | "paused" | "disabled";

/** An endpoint as operators see it: all but its secret. */
export interface EndpointRow extends EndpointSettings {
  readonly id: string;
  readonly status: EndpointStatus;
  readonly createdAt: string;
  /** Until when the secret before this one signs, too; null when there is none. */
  readonly previousSecretUntil: string | null;
  /** Deliveries that failed in a row. */
  readonly failures: number;
  readonly failingSince: string | null;
  readonly lastError: string | null;
  /** When one delivery will tell whether it is back. */
  readonly nextTryAt: string | null;
  readonly pausedAt: string | null;
  readonly disabledAt: string | null;
  readonly disabledReason: string | null;
  /** Deliveries by state, of each up to {@link ENDPOINT_COUNT_LIMIT}. */
  readonly deliveries: Readonly<Record<"pending" | "running" | "retrying" | "dead" | "skipped", number>>;
  /** What it can have yet: dead letters, and what was skipped while it was disabled; of both together, as far as that. */
  readonly missed: number;
}

/** Counting more would cost more than the number is worth. */
export const ENDPOINT_COUNT_LIMIT = 1_000;
/** Among how many that were skipped those are looked for that can be recovered; operators and filters may skip any number. */
const SKIPPED_LOOKED_AT = 10_000;

/** What stands in header_name, which cannot be null, where header_asked is false. */
const HEADER_UNLESS_ASKED = "";

// Each change of who gets what counts; see 0011.
const COUNTED = "counted AS (UPDATE penstock.endpoint_changes SET n = n + 1)";

const COLUMNS = [
  "url",
  "description",
  "tenant",
  "filter",
  "lane",
  "header_name",
  "header_asked",
  "concurrency",
  "rate_per_second",
  "schedule_ms",
  "disable_after_ms",
  "disable_after_failures",
] as const;

const valuesOf = (settings: EndpointSettings): unknown[] => [
  settings.url,
  settings.description,
  settings.tenant,
  settings.filter && JSON.stringify(settings.filter),
  settings.lane,
  settings.headerName ?? HEADER_UNLESS_ASKED,
  settings.headerName !== null,
  settings.concurrency,
  settings.ratePerSecond,
  settings.scheduleMs,
  settings.disableAfterMs,
  settings.disableAfterFailures,
];

const writeSubscriber = (client: pg.PoolClient, id: string, { types, lane }: EndpointSettings): Promise<unknown> =>
  query(
    client,
    `INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead)
     SELECT $1, 'endpoint', $2, CASE WHEN $3 THEN 'strict' END, CASE WHEN $3 THEN 'continue' END
         ON CONFLICT (name) DO UPDATE SET types = excluded.types, lane_order = excluded.lane_order, on_dead = excluded.on_dead`,
    [id, types, lane !== null],
  );

/** Creates an endpoint, with its secret sealed. It gets what is processed from now on. */
export async function createEndpoint(
  store: Store,
  { id, secret, settings }: { readonly id: string; readonly secret: string; readonly settings: EndpointSettings },
): Promise<void> {
  await transaction(store, async (client) => {
    await writeSubscriber(client, id, settings);
    const values = [id, secret, ...valuesOf(settings)];
    await query(
      client,
      `WITH ${COUNTED}
       INSERT INTO penstock.endpoints (id, secret, ${COLUMNS.join(", ")})
       VALUES (${values.map((_, at) => `$${at + 1}`).join(", ")})`,
      values,
    );
  });
}

/** Changes what is set for an endpoint; false when there is none. */
export async function updateEndpoint(store: Store, id: string, settings: EndpointSettings): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(
      client,
      `WITH ${COUNTED}
       UPDATE penstock.endpoints SET ${COLUMNS.map((column, at) => `${column} = $${at + 2}`).join(", ")} WHERE id = $1`,
      [id, ...valuesOf(settings)],
    );
    if (rowCount !== 1) return false;
    await writeSubscriber(client, id, settings);
    return true;
  });
}

/** Gives an endpoint a new secret, sealed; the one before signs, too, for so long. False when there is no such endpoint. */
export async function rotateEndpointSecret(
  store: Store,
  id: string,
  { secret, overlapMs }: { readonly secret: string; readonly overlapMs: number },
): Promise<boolean> {
  const { rowCount } = await query(
    store.pool,
    `UPDATE penstock.endpoints
        SET secret = $2, previous_secret = CASE WHEN $3::float8 > 0 THEN secret END,
            previous_until = CASE WHEN $3::float8 > 0 THEN now() + make_interval(secs => $3::float8 / 1000) END
      WHERE id = $1`,
    [id, secret, overlapMs],
  );
  return rowCount === 1;
}

/**
 * Seals the secrets of an endpoint anew, and forgets one whose time to sign is over; false when there is no such endpoint.
 *
 * @throws what `reseal` does; then all is as it was.
 */
export async function resealEndpointSecrets(
  store: Store,
  id: string,
  reseal: (sealed: string) => string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rows } = await query<{ secret: string; previous: string | null }>(
      client,
      `SELECT secret, CASE WHEN previous_until > now() THEN previous_secret END AS previous
         FROM penstock.endpoints WHERE id = $1 FOR UPDATE`,
      [id],
    );
    const [row] = rows;
    if (row === undefined) return false;
    await query(client, "UPDATE penstock.endpoints SET secret = $2, previous_secret = $3 WHERE id = $1", [
      id,
      reseal(row.secret),
      row.previous === null ? null : reseal(row.previous),
    ]);
    return true;
  });
}

/** The sealed secrets of an endpoint that sign, the newest first; none when there is no such endpoint. */
export async function readEndpointSecrets(store: Store, id: string): Promise<string[]> {
  const { rows } = await query<{ secret: string; previous: string | null }>(
    store.pool,
    `SELECT secret, CASE WHEN previous_until > now() THEN previous_secret END AS previous
       FROM penstock.endpoints WHERE id = $1`,
    [id],
  );
  return rows.flatMap(({ secret, previous }) => (previous === null ? [secret] : [secret, previous]));
}

/** Lets a paused or disabled endpoint go on, and one that is left alone, at once; false when there is none. */
export async function resumeEndpoint(store: Store, id: string): Promise<boolean> {
  const { rowCount } = await query(
    store.pool,
    `WITH ${COUNTED}, resumed AS (
       UPDATE penstock.handlers SET paused_at = NULL WHERE name = $1 AND kind = 'endpoint'
     )
     UPDATE penstock.endpoints
        SET disabled_at = NULL, disabled_reason = NULL, parked_until = NULL, failures = 0, parks = 0, failing_since = NULL
      WHERE id = $1`,
    [id],
  );
  return rowCount === 1;
}

/** Forgets an endpoint; what was delivered to it stays on record. False when there was none. */
export async function deleteEndpoint(store: Store, id: string): Promise<boolean> {
  const { rowCount } = await query(
    store.pool,
    `WITH ${COUNTED} DELETE FROM penstock.handlers WHERE name = $1 AND kind = 'endpoint'`,
    [id],
  );
  return rowCount === 1;
}

interface Row {
  id: string;
  types: string[];
  url: string;
  description: string | null;
  tenant: string | null;
  filter: EndpointSettings["filter"];
  lane: string | null;
  header_name: string;
  header_asked: boolean;
  concurrency: number;
  rate_per_second: number | null;
  schedule_ms: number[] | null;
  disable_after_ms: number;
  disable_after_failures: number | null;
  created_at: Date;
  previous_until: Date | null;
  failures: number;
  failing_since: Date | null;
  last_error: string | null;
  parked_until: Date | null;
  paused_at: Date | null;
  disabled_at: Date | null;
  disabled_reason: string | null;
  deliveries: Record<string, number> | null;
  skipped_while_disabled: number;
}

/** The endpoints that match, those that were added first first; after the one with this id, page by page. */
export async function listEndpoints(
  store: Store,
  {
    id,
    tenant,
    after,
    limit = 100,
  }: {
    readonly id?: string;
    readonly tenant?: string;
    readonly after?: EndpointRow;
    readonly limit?: number;
  } = {},
): Promise<EndpointRow[]> {
  const { rows } = await query<Row>(
    store.pool,
    `SELECT e.id, h.types, ${COLUMNS.map((column) => `e.${column}`).join(", ")}, e.created_at,
            CASE WHEN e.previous_until > now() THEN e.previous_until END AS previous_until,
            e.failures, e.failing_since, e.last_error, CASE WHEN e.parked_until > now() THEN e.parked_until END AS parked_until,
            h.paused_at, e.disabled_at, e.disabled_reason,
            (SELECT jsonb_object_agg(wanted, n)
               FROM unnest(ARRAY['pending', 'running', 'retrying', 'dead', 'skipped']) AS wanted,
                    LATERAL (SELECT count(*)::int AS n FROM (
                               SELECT FROM penstock.deliveries
                                WHERE subscriber = e.id AND state = wanted AND state <> 'succeeded'
                                LIMIT ${ENDPOINT_COUNT_LIMIT}) AS some_of) AS counted) AS deliveries,
            (SELECT count(*) FILTER (WHERE skip_reason = $5)::int
               FROM (SELECT skip_reason FROM penstock.deliveries WHERE subscriber = e.id AND state = 'skipped'
                      LIMIT ${SKIPPED_LOOKED_AT}) AS some_of) AS skipped_while_disabled
       FROM (SELECT * FROM penstock.endpoints
              WHERE ($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR tenant = $2)
                AND ($3::text IS NULL OR (created_at, id) > (SELECT created_at, id FROM penstock.endpoints WHERE id = $3))
              ORDER BY created_at, id LIMIT $4) AS e
       JOIN penstock.handlers h ON h.name = e.id
      ORDER BY e.created_at, e.id`,
    [id ?? null, tenant ?? null, after?.id ?? null, limit, SKIPPED_WHILE_DISABLED],
  );
  return rows.map(toEndpointRow);
}

function toEndpointRow(row: Row): EndpointRow {
  const { pending = 0, running = 0, retrying = 0, dead = 0, skipped = 0 } = row.deliveries ?? {};
  return {
    id: row.id,
    status: statusOf(row),
    url: row.url,
    description: row.description,
    tenant: row.tenant,
    types: row.types,
    filter: row.filter,
    lane: row.lane,
    headerName: row.header_asked ? row.header_name : null,
    concurrency: row.concurrency,
    ratePerSecond: row.rate_per_second,
    scheduleMs: row.schedule_ms,
    disableAfterMs: row.disable_after_ms,
    disableAfterFailures: row.disable_after_failures,
    createdAt: row.created_at.toISOString(),
    previousSecretUntil: row.previous_until?.toISOString() ?? null,
    failures: row.failures,
    failingSince: row.failing_since?.toISOString() ?? null,
    lastError: row.last_error,
    nextTryAt: row.parked_until?.toISOString() ?? null,
    pausedAt: row.paused_at?.toISOString() ?? null,
    disabledAt: row.disabled_at?.toISOString() ?? null,
    disabledReason: row.disabled_reason,
    deliveries: { pending, running, retrying, dead, skipped },
    missed: Math.min(ENDPOINT_COUNT_LIMIT, dead + row.skipped_while_disabled),
  };
}

function statusOf({ disabled_at, paused_at, failures, parked_until }: Row): EndpointStatus {
  if (disabled_at !== null) return "disabled";
  if (paused_at !== null) return "paused";
  return failures > 0 || parked_until !== null ? "failing" : "active";
}
