import { join } from "node:path";
import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { migrateQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { createQueuePool, createStore, migrate } from "@penstock/store";
import { makeServerDirectory, removeServerDirectory } from "@penstock/test-postgres";
import {
  killPrograms,
  launchRedis,
  type Program,
  type ProgramSpec,
  type ServerUnderTest,
  startProgram,
} from "@penstock/testing/servers";
import pg from "pg";
import { HANDLERS } from "./penstock/handlers.ts";

/** The Postgres of all runs. */
export interface Postgres {
  readonly pid: number;
  readonly dataDir: string;
  /** Of a database. */
  urlOf(database: string): string;
  /** Runs a statement in the database `postgres`. */
  admin<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>;
  remove(): Promise<void>;
}

/** What a run has to itself: a database that was just migrated, an empty Redis, and programs that end with it. */
export interface Stage {
  readonly postgres: Postgres;
  readonly databaseUrl: string;
  readonly redis: ServerUnderTest;
  readonly programs: Program[];
  start(spec: ProgramSpec): Promise<Program>;
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
}

// Beyond Postgres' defaults: room for the pools of all peers, and the time of each commit, which tells when an effect
// was there. fsync, full_page_writes and synchronous_commit stay on.
const SETTINGS = { max_connections: "200", track_commit_timestamp: "on" };

const TEMPLATE = "bench_template";

/** Starts Postgres and makes the database that those of runs are copies of: with all of Penstock's tables and the peers'. */
export async function startPostgres(): Promise<Postgres> {
  const dir = await makeServerDirectory();
  const server = await startEmbeddedPostgres({ dir, settings: SETTINGS, flushNewData: false });
  const urlOf = (database: string): string => Object.assign(new URL(server.url), { pathname: `/${database}` }).href;
  const admin = <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => queryOnce<Row>(urlOf("postgres"), sql);
  const remove = async (): Promise<void> => {
    await removeEmbeddedPostgres(dir);
    await removeServerDirectory(dir);
  };
  try {
    await admin(`CREATE DATABASE ${TEMPLATE}`);
    await migrateAll(urlOf(TEMPLATE));
  } catch (error) {
    await remove();
    throw error;
  }
  return { pid: server.pid, dataDir: server.dataDir, urlOf, admin, remove };
}

async function migrateAll(url: string): Promise<void> {
  const applicationName = "penstock-bench";
  const store = createStore({ connectionString: url, applicationName, maxConnections: 2 });
  try {
    await migrate(store, HANDLERS.five);
    await migrateQueue({ kind: "postgres" }, (_, maxConnections) =>
      createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName }),
    );
  } finally {
    await store.close();
  }
}

/** Makes a database as the first start of Penstock leaves it. */
export async function createDatabase(postgres: Postgres, name: string): Promise<void> {
  await postgres.admin(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
}

const toEnd = new Set<() => Promise<void>>();
let runs = 0;
let cleared = false;

/**
 * Does a run on a stage of its own and clears it away. `database` is one that is there and stays; else one is made.
 * `flushesRedis`: each write to its Redis is flushed to disk before it is answered; else nothing of it is kept.
 */
export async function onStage<T>(
  postgres: Postgres,
  { database, flushesRedis }: { readonly database: string | undefined; readonly flushesRedis: boolean },
  run: (stage: Stage) => Promise<T>,
): Promise<T> {
  if (cleared) return new Promise(() => undefined); // the end is under way: nothing new may begin
  const name = database ?? `bench_${++runs}`;
  if (database === undefined) await createDatabase(postgres, name);
  const redis = await launchRedis(flushesRedis);
  const removeRedis = (): Promise<void> => redis.remove();
  toEnd.add(removeRedis);
  const databaseUrl = postgres.urlOf(name);
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => undefined);
  const programs: Program[] = [];
  try {
    await client.connect();
    // What earlier runs have left to write is not to be written during this one.
    await client.query("CHECKPOINT");
    return await run({
      postgres,
      databaseUrl,
      redis,
      programs,
      async start(spec) {
        // Programs of the benchmark stand below src.
        const file = spec.file.startsWith("file:") ? spec.file : join(import.meta.dirname, spec.file);
        const program = await startProgram({ ...spec, file });
        programs.push(program);
        return program;
      },
      async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) {
        return (await client.query<Row>(sql, values)).rows;
      },
    });
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
    await client.end().catch(() => undefined);
    toEnd.delete(removeRedis);
    await removeRedis();
    if (database === undefined) await postgres.admin(`DROP DATABASE ${name} WITH (FORCE)`);
  }
}

/** Ends all programs and servers of runs, however far these are. */
export async function clearStage(): Promise<void> {
  cleared = true;
  await killPrograms();
  await Promise.allSettled(Array.from(toEnd, (end) => end()));
}

async function queryOnce<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
