import { type EndpointSettings, SKIPPED_WHILE_DISABLED } from "@penstock/schemas";
import type pg from "pg";
import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

/**
 * `active`: due deliveries are sent. `failing`: the last delivery failed, or the circuit is open. `paused` by an operator:
 * deliveries wait. `disabled`, since it failed for too long: deliveries are skipped.
 */
export type EndpointStatus = "active" | "failing" | "paused" | "disabled";

/** An endpoint as operators see it, without its secret. */
export interface EndpointRow extends EndpointSettings {
  readonly id: string;
  readonly status: EndpointStatus;
  readonly createdAt: string;
  /** Until when the previous secret signs as well; null without one. */
  readonly previousSecretUntil: string | null;
  /** Deliveries that failed in a row. */
  readonly failures: number;
  readonly failingSince: string | null;
  readonly lastError: string | null;
  /** When its last error was; null where that is not known. */
  readonly lastErrorAt: string | null;
  /** When the circuit becomes half open, and one delivery probes the endpoint; null while the circuit is closed. */
  readonly nextTryAt: string | null;
  readonly pausedAt: string | null;
  readonly disabledAt: string | null;
  readonly disabledReason: string | null;
  /** Deliveries by state, counted up to {@link ENDPOINT_COUNT_LIMIT} each. */
  readonly deliveries: Readonly<Record<"pending" | "running" | "retrying" | "dead" | "skipped", number>>;
  /** Deliveries that can be recovered: dead letters, and those skipped while disabled; counted up to the same limit. */
  readonly missed: number;
}

/** A larger number is not worth its cost. */
export const ENDPOINT_COUNT_LIMIT = 1_000;
/** How many skipped deliveries are searched for recoverable ones; operators and filters may skip any number. */
const SKIPPED_LOOKED_AT = 10_000;

// Each change of who gets what is counted; see endpoint_changes.
const COUNTED = "counted AS (UPDATE penstock.endpoint_changes SET n = n + 1)";

const SETTINGS = {
  url: "text",
  description: "text?",
  tenant: "text?",
  filter: "jsonb?",
  lane: "text?",
  header_name: "text?",
  concurrency: "int4",
  rate_per_second: "int4?",
  schedule_ms: "float8[]?",
  disable_after_ms: "float8",
  disable_after_failures: "int4?",
} as const;
const COLUMNS = Object.keys(SETTINGS);

const valuesOf = (settings: EndpointSettings) => ({
  url: settings.url,
  description: settings.description,
  tenant: settings.tenant,
  filter: settings.filter && JSON.stringify(settings.filter),
  lane: settings.lane,
  header_name: settings.headerName,
  concurrency: settings.concurrency,
  rate_per_second: settings.ratePerSecond,
  schedule_ms: settings.scheduleMs,
  disable_after_ms: settings.disableAfterMs,
  disable_after_failures: settings.disableAfterFailures,
});

const id = { id: "text" } as const;
const inLanes = { inLanes: "bool" } as const;

const WRITE_SUBSCRIBER = statement({
  text: sql`
    INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead)
    SELECT ${id}, 'endpoint', ${{ types: "text[]" }}, CASE WHEN ${inLanes} THEN 'strict' END,
           CASE WHEN ${inLanes} THEN 'continue' END
        ON CONFLICT (name) DO UPDATE
       SET types = excluded.types, lane_order = excluded.lane_order, on_dead = excluded.on_dead`,
});

const writeSubscriber = (client: pg.PoolClient, id: string, { types, lane }: EndpointSettings): Promise<unknown> =>
  query(client, WRITE_SUBSCRIBER, { id, types, inLanes: lane !== null });

const CREATE = statement({
  text: sql`
    WITH ${COUNTED}
    INSERT INTO penstock.endpoints (id, secret, ${COLUMNS.join(", ")})
    VALUES (${{ id: "text", secret: "text", ...SETTINGS }})`,
});

/** Creates an endpoint, with its secret sealed. It gets what is processed from now on. */
export async function createEndpoint(
  store: Store,
  { id, secret, settings }: { readonly id: string; readonly secret: string; readonly settings: EndpointSettings },
  actor: string,
): Promise<void> {
  await transaction(store, async (client) => {
    await writeSubscriber(client, id, settings);
    await query(client, CREATE, { id, secret, ...valuesOf(settings) });
    await recordAudit(client, { actor, action: "endpoints.add", target: id, detail: { ...settings } });
  });
}

const UPDATE = statement({
  text: sql`
    WITH ${COUNTED}
    UPDATE penstock.endpoints SET (${COLUMNS.join(", ")}) = ROW (${SETTINGS}) WHERE id = ${id}`,
});

/** Changes what is set for an endpoint; false when there is none. */
export async function updateEndpoint(
  store: Store,
  id: string,
  settings: EndpointSettings,
  actor: string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, UPDATE, { id, ...valuesOf(settings) });
    if (rowCount !== 1) return false;
    await writeSubscriber(client, id, settings);
    await recordAudit(client, { actor, action: "endpoints.update", target: id, detail: { ...settings } });
    return true;
  });
}

const secret = { secret: "text" } as const;
const overlapMs = { overlapMs: "float8" } as const;

const ROTATE = statement({
  text: sql`
    UPDATE penstock.endpoints
       SET secret = ${secret}, previous_secret = CASE WHEN ${overlapMs} > 0 THEN secret END,
           previous_until = CASE WHEN ${overlapMs} > 0 THEN now() + make_interval(secs => ${overlapMs} / 1000) END
     WHERE id = ${id}`,
});

/** Gives an endpoint a new sealed secret; the previous one signs as well for `overlapMs`. False when there is no such endpoint. */
export async function rotateEndpointSecret(
  store: Store,
  id: string,
  { secret, overlapMs }: { readonly secret: string; readonly overlapMs: number },
  actor: string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, ROTATE, { id, secret, overlapMs });
    if (rowCount !== 1) return false;
    await recordAudit(client, { actor, action: "endpoints.rotate", target: id, detail: { overlapMs } });
    return true;
  });
}

const secretsOf = (lock: string) =>
  statement({
    rows: { secret: "text", previous: "text?" },
    text: sql`
      SELECT secret, CASE WHEN previous_until > now() THEN previous_secret END AS previous
        FROM penstock.endpoints WHERE id = ${id} ${lock}`,
  });
const SECRETS = secretsOf("");
const LOCK_SECRETS = secretsOf("FOR UPDATE");

const RESEAL = statement({
  text: sql`
    UPDATE penstock.endpoints SET secret = ${secret}, previous_secret = ${{ previous: "text?" }} WHERE id = ${id}`,
});

/**
 * Seals the secrets of an endpoint anew, and forgets an expired one; false when there is no such endpoint.
 *
 * @throws what `reseal` throws; then nothing has changed.
 */
export async function resealEndpointSecrets(
  store: Store,
  id: string,
  reseal: (sealed: string) => string,
  actor: string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    const [row] = (await query(client, LOCK_SECRETS, { id })).rows;
    if (row === undefined) return false;
    const previous = row.previous === null ? null : reseal(row.previous);
    await query(client, RESEAL, { id, secret: reseal(row.secret), previous });
    await recordAudit(client, { actor, action: "endpoints.reseal", target: id });
    return true;
  });
}

/** The sealed secrets by which an endpoint signs, the newest first; none when there is no such endpoint. */
export async function readEndpointSecrets(store: Store, id: string): Promise<string[]> {
  const { rows } = await query(store.pool, SECRETS, { id });
  return rows.flatMap(({ secret, previous }) => (previous === null ? [secret] : [secret, previous]));
}

/**
 * The newest sealed secret of an endpoint, for an operator who will see it: `open` opens it, and what it throws leaves no entry
 * in the audit log. Null when there is no such endpoint.
 */
export async function revealEndpointSecret(
  store: Store,
  id: string,
  open: (sealed: string) => string,
  actor: string,
): Promise<string | null> {
  return transaction(store, async (client) => {
    const [row] = (await query(client, SECRETS, { id })).rows;
    if (row === undefined) return null;
    const opened = open(row.secret);
    await recordAudit(client, { actor, action: "endpoints.secret", target: id });
    return opened;
  });
}

const RESUME = statement({
  text: sql`
    WITH ${COUNTED}, resumed AS (
      UPDATE penstock.handlers SET paused_at = NULL WHERE name = ${id} AND kind = 'endpoint'
    )
    UPDATE penstock.endpoints
       SET disabled_at = NULL, disabled_reason = NULL, parked_until = NULL, failures = 0, parks = 0, failing_since = NULL
     WHERE id = ${id}`,
});

/** Lets a paused or disabled endpoint go on, and one that is left alone, at once; false when there is none. */
export async function resumeEndpoint(store: Store, id: string, actor: string): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, RESUME, { id });
    if (rowCount === 1) await recordAudit(client, { actor, action: "endpoints.resume", target: id });
    return rowCount === 1;
  });
}

const DELETE = statement({
  text: sql`WITH ${COUNTED} DELETE FROM penstock.handlers WHERE name = ${id} AND kind = 'endpoint'`,
});

/** Deletes an endpoint; its deliveries stay on record. False when there was none. */
export async function deleteEndpoint(store: Store, id: string, actor: string): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, DELETE, { id });
    if (rowCount === 1) await recordAudit(client, { actor, action: "endpoints.delete", target: id });
    return rowCount === 1;
  });
}

const wanted = { id: "text?" } as const;
const tenant = { tenant: "text?" } as const;
const after = { after: "text?" } as const;

const LIST = statement({
  rows: {
    id: "text",
    types: "text[]",
    ...SETTINGS,
    filter: column<EndpointSettings["filter"]>("jsonb"),
    created_at: "timestamptz",
    previous_until: "timestamptz?",
    failures: "int4",
    failing_since: "timestamptz?",
    last_error: "text?",
    last_error_at: "timestamptz?",
    parked_until: "timestamptz?",
    paused_at: "timestamptz?",
    disabled_at: "timestamptz?",
    disabled_reason: "text?",
    deliveries: column<Record<string, number> | null>("jsonb"),
    skipped_while_disabled: "int4",
  },
  text: sql`
    SELECT e.id, h.types, ${COLUMNS.map((column) => `e.${column}`).join(", ")}, e.created_at,
           CASE WHEN e.previous_until > now() THEN e.previous_until END AS previous_until,
           e.failures, e.failing_since, e.last_error, e.last_error_at,
           CASE WHEN e.parked_until > now() THEN e.parked_until END AS parked_until,
           h.paused_at, e.disabled_at, e.disabled_reason,
           (SELECT jsonb_object_agg(wanted, n)
              FROM unnest(ARRAY['pending', 'running', 'retrying', 'dead', 'skipped']) AS wanted,
                   LATERAL (SELECT count(*)::int AS n FROM (
                              SELECT FROM penstock.deliveries
                               WHERE subscriber = e.id AND state = wanted AND state <> 'succeeded'
                               LIMIT ${ENDPOINT_COUNT_LIMIT}) AS some_of) AS counted) AS deliveries,
           (SELECT count(*) FILTER (WHERE skip_reason = '${SKIPPED_WHILE_DISABLED}')::int
              FROM (SELECT skip_reason FROM penstock.deliveries WHERE subscriber = e.id AND state = 'skipped'
                     LIMIT ${SKIPPED_LOOKED_AT}) AS some_of) AS skipped_while_disabled
      FROM (SELECT * FROM penstock.endpoints
             WHERE (${wanted} IS NULL OR id = ${wanted}) AND (${tenant} IS NULL OR tenant = ${tenant})
               AND (${after} IS NULL
                  OR (created_at, id) > (SELECT created_at, id FROM penstock.endpoints WHERE id = ${after}))
             ORDER BY created_at, id LIMIT ${{ limit: "int8" }}) AS e
      JOIN penstock.handlers h ON h.name = e.id
     ORDER BY e.created_at, e.id`,
});

type Row = RowOf<typeof LIST>;

/** The endpoints that match, the oldest first, page by page. */
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
    readonly after?: Pick<EndpointRow, "id">;
    readonly limit?: number;
  } = {},
): Promise<EndpointRow[]> {
  const { rows } = await query(store.pool, LIST, { id, tenant, after: after?.id, limit });
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
    headerName: row.header_name,
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
    lastErrorAt: row.last_error_at?.toISOString() ?? null,
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
