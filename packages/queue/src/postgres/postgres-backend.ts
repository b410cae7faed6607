import { setTimeout as delay } from "node:timers/promises";
import { explainCertificateError, isCertificateError } from "@penstock/schemas";
import { createPostgresBackend, runMigrations } from "bullmq";
import type { QueueBackend, QueueConnection } from "../create-queue.ts";

/** What BullMQ, and disconnecting in time, need of a `pg.Pool`. */
export interface QueuePool {
  query(sql: string): Promise<unknown>;
  connect(): Promise<{ query(sql: string): Promise<unknown>; release(): void }>;
  end(): Promise<void>;
  on(event: "connect" | "remove", listener: (client: PooledClient) => void): unknown;
}

interface PooledClient {
  end(): Promise<void>;
}

/** The schema that holds BullMQ's own tables. */
export const QUEUE_SCHEMA = "bullmq";

const DISCONNECT_MS = 500;

/**
 * BullMQ on Postgres. `openPool` must give pools whose `search_path` is {@link QUEUE_SCHEMA}: BullMQ names its tables
 * plainly. A consumer takes one connection for LISTEN besides those that work.
 */
export function postgresBackend(openPool: (maxConnections: number) => QueuePool): QueueBackend {
  return {
    name: "postgres",
    factory: [createPostgresBackend],
    explain: explainPostgresError,
    connectProducer() {
      const pool = openPool(2);
      return {
        ...connectionOf(pool),
        settled: () => Promise.resolve(), // a pool connects at a request, which waits for the connection
        refusal: () => undefined,
        ping: () => checkPostgres(pool),
        warnings: () => Promise.resolve([]),
        inspect: () => Promise.resolve({ kind: "postgres" }),
      };
    },
    connectConsumer: (connections) => connectionOf(openPool(connections + 2)),
  };
}

// Privileges are read and not tried, since the statements are BullMQ's.
const CHECK = `
  SELECT current_user AS role, current_setting('transaction_read_only') = 'on' AS "isReadOnly",
         count(*)::int AS tables,
         coalesce(bool_and(
           has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
           AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
           AND has_table_privilege(c.oid, 'DELETE')), true) AS "isAllowed"
    FROM pg_catalog.pg_class c
   WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = '${QUEUE_SCHEMA}')
     AND c.relkind IN ('r', 'p')`;

interface Check {
  readonly role: string;
  readonly isReadOnly: boolean;
  readonly tables: number;
  readonly isAllowed: boolean;
}

/** @throws when the tables of the queue are missing or cannot be written to. */
async function checkPostgres(pool: QueuePool): Promise<void> {
  const { rows } = (await pool.query(CHECK)) as { rows: readonly Check[] };
  const [found] = rows;
  if (found === undefined) return;
  if (found.isReadOnly) throw new Error(IS_READ_ONLY);
  if (found.tables === 0) throw new Error(IS_MISSING);
  if (!found.isAllowed) throw new Error(`role ${found.role} ${IS_FORBIDDEN}`);
}

const IS_READ_ONLY = "this Postgres takes no writes: it is a replica, or default_transaction_read_only is on";
const IS_MISSING = `its tables are missing in schema ${QUEUE_SCHEMA}. Run \`penstock migrate\` with the same QUEUE_URL`;
const IS_FORBIDDEN = `may not use the tables in schema ${QUEUE_SCHEMA}. Let the role that ran \`penstock migrate\` grant it: GRANT USAGE ON SCHEMA ${QUEUE_SCHEMA} TO it, and GRANT ALL ON ALL TABLES IN SCHEMA ${QUEUE_SCHEMA} TO it`;

/** By what Postgres says: read_only_sql_transaction, undefined_table, insufficient_privilege. */
const MEANINGS: Readonly<Record<string, string>> = {
  "25006": IS_READ_ONLY,
  "42P01": IS_MISSING,
  "42501": `its role ${IS_FORBIDDEN}`,
};

function explainPostgresError(error: Error): string {
  if (isCertificateError(error)) return explainCertificateError("Postgres", error.message);
  if (error.name === "SchemaMigrationRequiredError") return IS_MISSING;
  const meaning = "code" in error ? MEANINGS[String(error.code)] : undefined;
  return meaning === undefined ? error.message : `${meaning} (Postgres says: ${error.message})`;
}

function connectionOf(pool: QueuePool): QueueConnection {
  const clients = new Set<PooledClient>();
  pool.on("connect", (client) => clients.add(client));
  pool.on("remove", (client) => clients.delete(client));
  return {
    connection: pool,
    async disconnect() {
      // The pool alone would wait for clients in use, and these wait for a server that may never answer.
      const ended = Promise.allSettled([pool.end(), ...[...clients].map((client) => client.end())]);
      await Promise.race([ended, delay(DISCONNECT_MS, undefined, { ref: false })]);
    },
  };
}

/** Makes or updates BullMQ's tables. Safe to run from several processes at once. */
export async function migratePostgresQueue(pool: QueuePool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client as Parameters<typeof runMigrations>[0], QUEUE_SCHEMA);
  } finally {
    client.release();
  }
}
