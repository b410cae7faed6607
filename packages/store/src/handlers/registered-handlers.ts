import type { EngineStore } from "@penstock/engine";
import { isEndpointId } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { type Sql, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

/** How long events of a type wait for a worker after the last one that subscribed to the type, in minutes. */
const TYPES_KEPT_MINUTES = 10;

/**
 * SQL: adds the types of a worker, `own`, to those of all workers of handler `h`, and drops types that no worker has had for ten
 * minutes. Time without any worker of the handler does not count: otherwise the first worker to come back, with an older version,
 * would drop the types of a newer one. (Workers mark their handlers as seen every 20 s.)
 */
const mergeTypes = <Values>(own: string | Sql<Values>): Sql<Values> =>
  sql`
  (types, types_seen) = (
    SELECT coalesce(array_agg(type ORDER BY type), '{}'), coalesce(jsonb_object_agg(type, at), '{}')
      FROM (SELECT type, seen::timestamptz + CASE WHEN h.seen_at < now() - interval '1 minute' THEN now() - h.seen_at
                                                  ELSE '0' END AS at
              FROM jsonb_each_text(h.types_seen) AS old (type, seen) WHERE type <> ALL (${own})
             UNION ALL
            SELECT type, now() FROM unnest(${own}) AS mine (type)) AS every
     WHERE at > now() - interval '${TYPES_KEPT_MINUTES} minutes'),
  registered_at = CASE WHEN ${own} <@ h.types THEN h.registered_at END,
  seen_at = now()` as Sql<Values>;

const REGISTER = statement({
  text: sql`
    INSERT INTO penstock.handlers AS h (name, kind, types, types_seen, lane_order, on_dead)
    SELECT g->>'name', g->>'kind', types, (SELECT coalesce(jsonb_object_agg(type, now()), '{}') FROM unnest(types) AS t (type)),
           g->'lanes'->>'order', g->'lanes'->>'onDead'
      FROM jsonb_array_elements(${{ handlers: "jsonb" }}) AS g,
           LATERAL (SELECT ARRAY(SELECT DISTINCT jsonb_array_elements_text(g->'types') ORDER BY 1) AS types) AS own
     ORDER BY 1
        ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, lane_order = excluded.lane_order,
           on_dead = excluded.on_dead, ${mergeTypes("excluded.types")}`,
});

/**
 * Writes the handlers of a worker and their types. Versions of a handler can run side by side, so a handler's types are those of
 * all its workers.
 */
export async function registerHandlers(
  store: Store,
  handlers: Parameters<EngineStore["registerHandlers"]>[0],
): Promise<void> {
  await query(store.pool, REGISTER, { handlers: JSON.stringify(handlers) });
  await settleRegistration(
    store,
    handlers.map(({ name }) => name),
  );
}

const MARK_SEEN = statement({
  text: sql`
    UPDATE penstock.handlers h SET ${mergeTypes(sql`${{ types: "text[]" }}`)} WHERE name = ${{ name: "text" }}`,
});

/** Marks handlers as seen: a worker with them is running. */
export async function markHandlersSeen(
  store: Store,
  handlers: readonly { readonly name: string; readonly types: readonly string[] }[],
): Promise<void> {
  // Each in a transaction of its own: a worker that waits for a row must hold no other row.
  for (const { name, types } of handlers) await query(store.pool, MARK_SEEN, { name, types });
  await settleRegistration(
    store,
    handlers.map(({ name }) => name),
  );
}

const SETTLE = statement({
  text: sql`
    UPDATE penstock.handlers SET registered_at = clock_timestamp()
     WHERE name = ANY(${{ names: "text[]" }}) AND registered_at IS NULL`,
});

/**
 * Writes since when handlers are registered. A batch sees a registration once it has committed, which can be long after its
 * transaction began, so the time is taken after the commit, in a transaction of its own. Where a worker dies in between, the
 * next worker with the handler writes it.
 */
async function settleRegistration(store: Store, names: readonly string[]): Promise<void> {
  await query(store.pool, SETTLE, { names });
}

/** A handler that some worker has registered. */
export interface HandlerRow {
  readonly name: string;
  readonly kind: string;
  /** The types of all its workers, all versions taken together. */
  readonly types: string[];
  /** Since when every accepted event of its types gets a delivery; null while the handler is being registered. */
  readonly registeredAt: Date | null;
  /** When a worker with it was last seen. */
  readonly seenAt: Date;
  /** Since when the handler is paused; null when it is not. */
  readonly pausedAt: Date | null;
}

const LIST = statement({
  rows: {
    name: "text",
    kind: "text",
    types: "text[]",
    registeredAt: "timestamptz?",
    seenAt: "timestamptz",
    pausedAt: "timestamptz?",
  },
  text: sql`
    SELECT name, kind, types, registered_at AS "registeredAt", seen_at AS "seenAt", paused_at AS "pausedAt"
      FROM penstock.handlers WHERE kind <> 'endpoint' ORDER BY name`,
});

/** All registered handlers by name, without endpoints. */
export async function listHandlers(store: Store): Promise<HandlerRow[]> {
  const { rows } = await query(store.pool, LIST);
  return rows;
}

/** What pausing a handler, or letting it go on, has done. */
export interface PauseOutcome {
  /** False when it was so already. */
  readonly changed: boolean;
  /** Since when it is paused, or was until now; null when neither. */
  readonly since: Date | null;
}

const PAUSE = statement({
  rows: { before: "timestamptz?", after: "timestamptz?" },
  text: sql`
    UPDATE penstock.handlers h
       SET paused_at = CASE WHEN ${{ paused: "bool" }} THEN coalesce(h.paused_at, now()) END
      FROM (SELECT name, paused_at FROM penstock.handlers WHERE name = ${{ name: "text" }} FOR UPDATE) AS was
     WHERE h.name = was.name
    RETURNING was.paused_at AS before, h.paused_at AS after`,
});

/**
 * Pauses a handler, or lets it go on: while it is paused, nothing of it is started by any worker, and its events are kept
 * as pending deliveries. What runs already is not stopped. Null when there is no such handler.
 */
export async function pauseHandler(
  store: Store,
  name: string,
  paused: boolean,
  actor: string,
): Promise<PauseOutcome | null> {
  return transaction(store, async (client) => {
    const [row] = (await query(client, PAUSE, { name, paused })).rows;
    if (row === undefined) return null;
    const changed = (row.before === null) !== (row.after === null);
    const action = `${isEndpointId(name) ? "endpoints" : "handlers"}.${paused ? "pause" : "resume"}`;
    if (changed) await recordAudit(client, { actor, action, target: name });
    return { changed, since: row.after ?? row.before };
  });
}

/** How many deliveries of a handler are in a state, counted up to a limit. */
export interface WaitingCount {
  readonly subscriber: string;
  readonly state: string;
  readonly count: number;
}

const COUNT = statement({
  rows: { subscriber: "text", state: "text", count: "int4" },
  text: sql`
    SELECT h.name AS subscriber, wanted AS state, n.count
      FROM penstock.handlers h, unnest(ARRAY['pending', 'running', 'retrying', 'dead']) AS wanted,
           LATERAL (SELECT count(*)::int FROM (
                      SELECT FROM penstock.deliveries
                       WHERE subscriber = h.name AND state = wanted AND state <> 'succeeded'
                       LIMIT ${{ limit: "int8" }}) AS some_of) AS n
     WHERE h.kind <> 'endpoint' AND n.count > 0 ORDER BY 1, 2`,
});

/**
 * Counts deliveries of registered handlers that have not succeeded, by state; each count goes up to `limit`, since a million may
 * wait. States without deliveries are left out.
 */
export async function countWaiting(store: Store, limit: number): Promise<WaitingCount[]> {
  const { rows } = await query(store.pool, COUNT, { limit });
  return rows;
}

const REMOVE = statement({
  text: sql`DELETE FROM penstock.handlers WHERE name = ${{ name: "text" }} AND kind <> 'endpoint'`,
});

/** Forgets a handler that is gone for good: events no longer wait for it. False when there was none. */
export async function removeHandler(store: Store, name: string, actor: string): Promise<boolean> {
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, REMOVE, { name });
    if (rowCount === 1) await recordAudit(client, { actor, action: "handlers.remove", target: name });
    return rowCount === 1;
  });
}
