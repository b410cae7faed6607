import { query, type Store } from "./create-store.ts";

/** Writes the handlers that a worker runs and what they subscribe to. */
export async function registerHandlers(
  store: Store,
  handlers: readonly { name: string; kind: string; types: readonly string[] }[],
): Promise<void> {
  await query(
    store.pool,
    `INSERT INTO penstock.handlers (name, kind, types)
     SELECT h->>'name', h->>'kind', ARRAY(SELECT jsonb_array_elements_text(h->'types'))
       FROM jsonb_array_elements($1::jsonb) AS h ORDER BY 1
         ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, types = excluded.types, seen_at = now()`,
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
}

/** All registered handlers by name. */
export async function listHandlers(store: Store): Promise<HandlerRow[]> {
  const { rows } = await query<{ name: string; kind: string; types: string[]; seen_at: Date }>(
    store.pool,
    "SELECT name, kind, types, seen_at FROM penstock.handlers ORDER BY name",
  );
  return rows.map(({ seen_at, ...row }) => ({ ...row, seenAt: seen_at }));
}

/** Forgets a handler that is gone for good: events no longer wait for it. Returns false when there was none. */
export async function removeHandler(store: Store, name: string): Promise<boolean> {
  const { rowCount } = await query(store.pool, "DELETE FROM penstock.handlers WHERE name = $1", [name]);
  return rowCount === 1;
}
