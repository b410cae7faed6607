import { isTracing } from "@penstock/telemetry";
import pg from "pg";
import { keepContext } from "./keep-context.ts";
import { observePool } from "./observe-pool.ts";

/**
 * Settings that our statements rely on, and that `postgresql.conf`, ALTER DATABASE, ALTER ROLE, `PGOPTIONS` or a URL may change: the
 * text that pg reads, how Postgres reads statements and parameters, and what the statements do. The database decides about
 * the money type, about to_char patterns that follow a locale, and about default_transaction_read_only, by which providers
 * protect a full disk.
 */
const PINNED = {
  // pg reads no other forms of text.
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
  quote_all_identifiers: "off", // the names of partitions are cut up
  // Literals, and arrays with nulls as pg writes them.
  standard_conforming_strings: "on",
  array_nulls: "on",
  transform_null_equals: "off",
  search_path: "public",
  // A claim that skips locked rows fails in stricter isolation.
  default_transaction_isolation: "read committed",
  gin_fuzzy_search_limit: "0",
  exit_on_error: "off",
} as const;

/**
 * Opens a pool. Each connection gets the pinned settings and its `own` before its first statement.
 */
export function openPool(name: "store" | "queue", config: pg.PoolConfig, own: Record<string, string>): pg.Pool {
  const settings = Object.entries({ ...PINNED, ...own });
  // By statement: a pooler refuses settings in the start-up packet, and so does a server without the setting.
  const pin = (client: pg.ClientBase): Promise<unknown> =>
    client.query({
      text: `SELECT set_config(s.name, v.value, false)
         FROM unnest($1::text[], $2::text[]) AS v (name, value)
         JOIN pg_catalog.pg_settings s ON s.name = v.name`,
      values: [settings.map(([setting]) => setting), settings.map(([, value]) => value)],
      // The pool's own time-out does not cover this statement.
      query_timeout: config.connectionTimeoutMillis,
    } as pg.QueryConfig);
  const pool = new pg.Pool({
    ...config,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // pg awaits the promise, though its types do not say so.
    onConnect: pin as (client: pg.ClientBase) => void,
  });
  // Without a listener, a server that restarts would end this process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  observePool(name, pool);
  if (isTracing()) keepContext(pool);
  return pool;
}
