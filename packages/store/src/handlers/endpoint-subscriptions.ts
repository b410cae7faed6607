import type { EndpointSubscription, Registered } from "@penstock/engine";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** Reads the registered handlers and endpoints; see EngineTransaction.registered. */
export type ReadRegistered = (client: pg.PoolClient) => Promise<Registered>;

const REGISTERED = statement({
  name: "penstock-registered",
  rows: { n: "int8", name: "text?", types: "text[]", paused: "bool" },
  text: sql`
    SELECT c.n, h.name, h.types, h.paused_at IS NOT NULL AS paused
      FROM penstock.endpoint_changes c LEFT JOIN penstock.handlers h ON h.kind <> 'endpoint'`,
});

const ENDPOINTS = statement({
  rows: {
    n: "int8",
    id: "text?",
    types: "text[]?",
    filter: column<EndpointSubscription["filter"]>("jsonb"),
    lane: "text?",
    disabled: "bool",
  },
  text: sql`
    SELECT c.n, e.id, h.types, e.filter, e.lane, e.disabled_at IS NOT NULL AS disabled
      FROM penstock.endpoint_changes c
      LEFT JOIN (penstock.endpoints e JOIN penstock.handlers h ON h.name = e.id) ON true
     ORDER BY e.id`,
});

/**
 * Makes the reader of one process. It reads the few handlers each time, and the endpoints, which can be thousands, only when their
 * count of changes has changed.
 */
export function createRegisteredReader(): ReadRegistered {
  let known: { readonly n: string; readonly endpoints: readonly EndpointSubscription[] } | undefined;
  return async (client) => {
    const { rows } = await query(client, REGISTERED);
    const n = rows[0]?.n;
    if (known === undefined || known.n !== n) known = await readEndpoints(client);
    const handlers = rows.flatMap(({ name, types, paused }) => (name === null ? [] : [{ name, types, paused }]));
    return { handlers, endpoints: known.endpoints };
  };
}

async function readEndpoints(
  client: pg.PoolClient,
): Promise<{ n: string; endpoints: readonly EndpointSubscription[] }> {
  const { rows } = await query(client, ENDPOINTS);
  const endpoints = rows.flatMap(({ id, types, filter, lane, disabled }) =>
    id === null ? [] : [{ id, types: types ?? [], filter, lane, disabled }],
  );
  return { n: rows[0]?.n ?? "", endpoints };
}
