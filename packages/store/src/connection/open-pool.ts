import { isTracing } from "@penstock/telemetry";
import pg from "pg";
import { keepContext } from "./keep-context.ts";
import { observePool } from "./observe-pool.ts";

/**
 * What `postgresql.conf`, ALTER DATABASE, ALTER ROLE, `PGOPTIONS` or a URL may set otherwise, and what we rest on: the text
 * that pg reads, how Postgres reads our statements and parameters, and what those statements do. The money type and the
 * patterns of to_char that follow a locale stay as the database has them, and so does default_transaction_read_only, by
 * which providers protect a full disk.
 */
const PINNED = {
  // pg reads these forms of text and no other.
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
  quote_all_identifiers: "off", // the names of partitions are cut up
  // Literals, and what pg makes of arrays with nulls.
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
 * Opens a pool. Each of its connections has the settings that all of our connections have, and those of its own, before
 * anything else is asked of it.
 */
export function openPool(name: "store" | "queue", config: pg.PoolConfig, own: Record<string, string>): pg.Pool {
  const settings = Object.entries({ ...PINNED, ...own });
  // By statement, not by start-up packet: a pooler refuses the latter, and so does a server without the setting.
  const pin = (client: pg.ClientBase): Promise<unknown> =>
    client.query({
      text: `SELECT set_config(s.name, v.value, false)
         FROM unnest($1::text[], $2::text[]) AS v (name, value)
         JOIN pg_catalog.pg_settings s ON s.name = v.name`,
      values: [settings.map(([setting]) => setting), settings.map(([, value]) => value)],
      // The pool's own limit has ended by then, and a server can fall silent now.
      query_timeout: config.connectionTimeoutMillis,
    } as pg.QueryConfig);
  const pool = new pg.Pool({
    ...config,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // pg waits for it, though its types do not say so.
    onConnect: pin as (client: pg.ClientBase) => void,
  });
  // Without a listener a server that restarts would take this process down with it.
  pool.on("connect", (client) => client.on("error", () => undefined));
  observePool(name, pool);
  if (isTracing()) keepContext(pool);
  return pool;
}
