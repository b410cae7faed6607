import type { EngineStore } from "@penstock/engine";
import { query, type Store } from "./create-store.ts";

/** Writes the handlers that a worker runs and what they subscribe to. */
export async function registerHandlers(
  store: Store,
  handlers: Parameters<EngineStore["registerHandlers"]>[0],
): Promise<void> {
  await query(
    store.pool,
    `INSERT INTO penstock.handlers (name, kind, types, lane_order, on_dead)
     SELECT h->>'name', h->>'kind', ARRAY(SELECT jsonb_array_elements_text(h->'types')), h->'lanes'->>'order',
            h->'lanes'->>'onDead'
       FROM jsonb_array_elements($1::jsonb) AS h ORDER BY 1
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, types = excluded.types,
            lane_order = excluded.lane_order, on_dead = excluded.on_dead, seen_at = now()`,
    [JSON.stringify(handlers)],
  );
}

/** Says that a worker with these handlers is still there. What they subscribe to is said at its start alone. */
export async function markHandlersSeen(store: Store, names: readonly string[]): Promise<void> {
  await query(store.pool, "UPDATE penstock.handlers SET seen_at = now() WHERE name = ANY($1::text[])", [[...names]]);
}

/** A handler that some worker has registered. */
export interface HandlerRow {
  readonly name: string;
  readonly kind: string;
  readonly types: string[];
  /** When a worker with it was last seen. */
  readonly seenAt: Date;
  /** Since when it is paused; null while it runs. */
  readonly pausedAt: Date | null;
}

/** All registered handlers by name; endpoints are none. */
export async function listHandlers(store: Store): Promise<HandlerRow[]> {
  type Row = { name: string; kind: string; types: string[]; seen_at: Date; paused_at: Date | null };
  const { rows } = await query<Row>(
    store.pool,
    "SELECT name, kind, types, seen_at, paused_at FROM penstock.handlers WHERE kind <> 'endpoint' ORDER BY name",
  );
  return rows.map(({ seen_at, paused_at, ...row }) => ({ ...row, seenAt: seen_at, pausedAt: paused_at }));
}

/** What pausing a handler, or letting it go on, has done. */
export interface PauseOutcome {
  /** False when it was so already. */
  readonly changed: boolean;
  /** Since when it is paused, or was until now; null when neither. */
  readonly since: Date | null;
}

/**
 * Pauses a handler, or lets it go on: while it is paused, nothing of it is started by any worker, and its events are kept
 * as pending deliveries. What runs already is not stopped. Null when there is no such handler.
 */
export async function pauseHandler(store: Store, name: string, paused: boolean): Promise<PauseOutcome | null> {
  const { rows } = await query<{ before: Date | null; after: Date | null }>(
    store.pool,
    `UPDATE penstock.handlers h SET paused_at = CASE WHEN $2 THEN coalesce(h.paused_at, now()) END
       FROM (SELECT name, paused_at FROM penstock.handlers WHERE name = $1 FOR UPDATE) AS was
      WHERE h.name = was.name
     RETURNING was.paused_at AS before, h.paused_at AS after`,
    [name, paused],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return { changed: (row.before === null) !== (row.after === null), since: row.after ?? row.before };
}

/** How many deliveries of a handler are in a state, counted up to a limit. */
export interface WaitingCount {
  readonly subscriber: string;
  readonly state: string;
  readonly count: number;
}

/**
 * What has not succeeded of each registered handler, by state; of each state up to `limit`, since a million may wait. States
 * without any are left out.
 */
export async function countWaiting(store: Store, limit: number): Promise<WaitingCount[]> {
  const { rows } = await query<WaitingCount>(
    store.pool,
    `SELECT h.name AS subscriber, wanted AS state, n.count
       FROM penstock.handlers h, unnest(ARRAY['pending', 'running', 'retrying', 'dead']) AS wanted,
            LATERAL (SELECT count(*)::int FROM (
                       SELECT FROM penstock.deliveries
                        WHERE subscriber = h.name AND state = wanted AND state <> 'succeeded' LIMIT $1) AS some_of) AS n
      WHERE h.kind <> 'endpoint' AND n.count > 0 ORDER BY 1, 2`,
    [limit],
  );
  return rows;
}

/** Forgets a handler that is gone for good: events no longer wait for it. Returns false when there was none. */
export async function removeHandler(store: Store, name: string): Promise<boolean> {
  const { rowCount } = await query(store.pool, "DELETE FROM penstock.handlers WHERE name = $1 AND kind <> 'endpoint'", [
    name,
  ]);
  return rowCount === 1;
}
