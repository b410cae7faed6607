import { setTimeout as delay } from "node:timers/promises";
import { detached } from "@penstock/telemetry";
import type pg from "pg";
import { toStoreError } from "./errors.ts";
import { openPool } from "./open-pool.ts";
import type { Statement } from "./sql.ts";

export interface StoreOptions {
  readonly connectionString: string;
  /** Shown in pg_stat_activity, e.g. `penstock-worker`. */
  readonly applicationName: string;
  /** The names of all sources: an event is looked up by source and id. None by default. */
  readonly sources?: readonly string[];
  /** The most connections. */
  readonly maxConnections: number;
  /** The most one statement may take, in milliseconds. */
  readonly statementTimeoutMs?: number;
  /**
   * The longest wait for the answer to a statement before the connection is given up, in milliseconds: a half-open connection (a
   * pulled cable, a silent firewall) never answers. No limit by default, since migrations may take long.
   */
  readonly answerTimeoutMs?: number;
  /** How long to wait for a connection, in milliseconds; 5,000 unless given. */
  readonly connectTimeoutMs?: number;
  /** The schema of the `search_path` before `public`; `public` alone by default. */
  readonly schema?: string;
  /** Called with errors of idle connections. */
  readonly onConnectionError?: (error: Error) => void;
}

/** A pool of connections with the session settings that the guarantees rest on (`open-pool.ts`). */
export interface Store {
  readonly pool: pg.Pool;
  readonly sources: readonly string[];
  /** Resolves when Postgres answers. @throws DatabaseUnavailableError */
  ping(): Promise<void>;
  /** Resolves once Postgres answers; rejects with the signal's reason when the signal is aborted first. */
  waitUntilAvailable(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a pool. Each connection commits synchronously, and bounds waits for locks, idle time inside a transaction and (Postgres 17
 * and later) the length of a transaction, so that a frozen worker does not hold its rows for ever.
 */
export function createStore(options: StoreOptions): Store {
  const pool = openPool(
    "store",
    {
      connectionString: options.connectionString,
      max: options.maxConnections,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
      idleTimeoutMillis: 30_000,
      ...(options.answerTimeoutMs === undefined ? {} : { query_timeout: options.answerTimeoutMs }),
      // Statements that are sent together take one round trip.
      pipeline: true,
    },
    {
      application_name: options.applicationName,
      synchronous_commit: "on", // an acknowledgement means: on disk
      lock_timeout: "5s",
      idle_in_transaction_session_timeout: "40s", // longer than the longest timeoutMs of a handler
      transaction_timeout: "180s",
      client_connection_check_interval: "2s", // ends the statement of a client that is gone
      statement_timeout: `${options.statementTimeoutMs ?? 60_000}ms`,
      jit: "off", // compiling a statement takes longer than running any of ours
      ...(options.schema !== undefined && { search_path: `"${options.schema}", public` }),
    },
  );
  pool.on("error", (error) => detached(() => options.onConnectionError?.(error)));

  const store: Store = {
    pool,
    sources: options.sources ?? [],
    async ping() {
      await command(pool, "SELECT 1");
    },
    async waitUntilAvailable(signal) {
      for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2_000)) {
        signal.throwIfAborted();
        try {
          await store.ping();
          return;
        } catch {
          await delay(waitMs, undefined, { signal, ref: true });
        }
      }
    },
    async close() {
      await pool.end();
    },
  };
  return store;
}

/** Anything that runs SQL: a pool, or one connection. */
export type Queryable = Pick<pg.Pool, "query"> | Pick<pg.PoolClient, "query">;

/** Runs a statement, with its values by name. @throws DatabaseUnavailableError in an outage; else the error of Postgres. */
export async function query<Values, Row extends pg.QueryResultRow>(
  db: Queryable,
  { config, parameters }: Statement<Values, Row>,
  ...[values]: unknown extends Values ? [] : [values: Values]
): Promise<pg.QueryResult<Row>> {
  const byName = (values ?? {}) as Readonly<Record<string, unknown>>;
  try {
    return await db.query<Row>({ ...config, values: parameters.map(({ name }) => byName[name]) });
  } catch (error) {
    throw toStoreError(error);
  }
}

/**
 * Runs a text that is no declared statement: BEGIN and COMMIT, settings, rights, and texts with the name of a schema or a table.
 * @throws as {@link query} does.
 */
export async function command<Row extends pg.QueryResultRow>(
  db: Queryable,
  text: string,
): Promise<pg.QueryResult<Row>> {
  try {
    return await db.query<Row>(text);
  } catch (error) {
    throw toStoreError(error);
  }
}

/** Takes a connection. @throws DatabaseUnavailableError when Postgres is away or no connection is free in time. */
export async function connect({ pool }: Store): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw toStoreError(error);
  }
}
