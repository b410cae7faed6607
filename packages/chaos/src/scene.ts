import { appendFileSync, mkdirSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort, removeEmbeddedPostgres, signalServer, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { migrateQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { SIMULATED } from "@penstock/simulator";
import { createQueuePool, createStore, migrate, type Store } from "@penstock/store";
import { makeServerDirectory, removeServerDirectory } from "@penstock/test-postgres";
import { eventually } from "@penstock/testing/eventually";
import {
  launchRedis,
  type Program,
  type ProgramSpec,
  type ServerUnderTest,
  startProgram,
} from "@penstock/testing/servers";
import pg from "pg";
import { type Mutation, MUTATIONS, type MutationName } from "./mutations.ts";
import { openOutsideWorld, type OutsideWorld } from "./outside.ts";
import { HANDLERS } from "./penstock/handlers.ts";
import { openProxy, type Proxy } from "./proxy.ts";

export const SECRET = "whsec_0123456789abcdef0123456789abcdef";

/** A process that is started again whenever it ends, as a supervisor does. */
export interface Kept {
  readonly name: string;
  isReady(): boolean;
  /** Null while it starts. */
  pid(): number | null;
  signal(signal: NodeJS.Signals): void;
  /** The exit codes with which it has ended by itself after it was ready, but for 0. */
  readonly crashes: readonly number[];
}

/** The Postgres of a run, without a proxy in between. */
export interface Database {
  readonly url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** One statement on a connection of its own. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
}

/** All that a run is played with. */
export interface Scene {
  readonly backend: "redis" | "postgres";
  readonly postgres: Database;
  /** The store of operators, past the proxy. */
  readonly store: Store;
  readonly redis: ServerUnderTest | null;
  readonly ingests: readonly Kept[];
  readonly workers: readonly Kept[];
  readonly proxies: { readonly ingests: readonly Proxy[]; readonly postgres: Proxy; readonly redis: Proxy | null };
  readonly outside: OutsideWorld;
  /** How many files of refused requests wait to be imported. */
  refusedFiles(): Promise<number>;
  close(): Promise<void>;
}

const MAINS = {
  ingest: import.meta.resolve("@penstock/ingest/main"),
  worker: import.meta.resolve("@penstock/worker/main"),
};

/** What tells the books when an event was recorded, and room for the pools of all processes. */
const SETTINGS = { max_connections: "200", track_commit_timestamp: "on" };

/** Starts servers, proxies and processes. `logs`: where the output of the processes goes. */
export async function openScene(options: {
  readonly backend: "redis" | "postgres";
  readonly mutation: MutationName | null;
  readonly logs: string | null;
}): Promise<Scene> {
  const { backend, mutation, logs } = options;
  const toEnd: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (let end = toEnd.pop(); end; end = toEnd.pop()) await end();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), "penstock-chaos-"));
    toEnd.push(() => rm(folder, { recursive: true, force: true }));
    const refused = join(folder, "refused");
    const orders = join(folder, "orders");
    for (const path of [refused, orders, ...(logs === null ? [] : [logs])]) mkdirSync(path, { recursive: true });

    const postgres = await openPostgres();
    toEnd.push(() => postgres.remove());
    const store = createStore({ connectionString: postgres.url, applicationName: "penstock-chaos", maxConnections: 4 });
    toEnd.push(() => store.close());
    await migrate(store, HANDLERS);
    await migrateQueue({ kind: "postgres" }, (_, maxConnections) =>
      createQueuePool({
        connectionString: postgres.url,
        schema: QUEUE_SCHEMA,
        maxConnections,
        applicationName: "penstock-chaos",
      }),
    );
    const redis = backend === "redis" ? await launchRedis(true) : null;
    if (redis !== null) toEnd.push(() => redis.remove());
    const outside = await openOutsideWorld();
    toEnd.push(() => outside.close());

    const ports = [await findFreePort(), await findFreePort()];
    const proxies = {
      ingests: await Promise.all(ports.map(openProxy)),
      postgres: await openProxy(Number(new URL(postgres.url).port)),
      redis: redis === null ? null : await openProxy(redis.port),
    };
    toEnd.push(() => [...proxies.ingests, proxies.postgres, proxies.redis].forEach((proxy) => proxy?.close()));

    const behind = (url: string, { port }: Proxy): string => Object.assign(new URL(url), { port: String(port) }).href;
    const env = {
      DATABASE_URL: behind(postgres.url, proxies.postgres),
      ...(redis !== null && proxies.redis !== null ? { QUEUE_URL: behind(redis.url, proxies.redis) } : {}),
      INTERNAL_HOST: "127.0.0.1",
      MALLOC_ARENA_MAX: "2",
    };
    const broken: Mutation | null = mutation === null ? null : MUTATIONS[mutation];
    const keep = (role: "ingest" | "worker", number: number, more: Record<string, string>): Kept => {
      const isBroken = broken?.role === role;
      const name = `${role}-${number}`;
      const kept = keepRunning({
        role: name,
        file: MAINS[role],
        ready: `${role} ready`,
        env: { ...env, ...more, ...(isBroken ? { CHAOS_MUTATION: String(mutation) } : {}) },
        nodeArgs: isBroken ? [`--import=${import.meta.resolve("./mutate.ts")}`] : [],
        onOutput: (text) => logs !== null && appendFileSync(join(logs, `${name}.log`), text),
      });
      toEnd.push(() => kept.end());
      return kept;
    };
    const ingests = ports.map((port, number) =>
      keep("ingest", number, {
        INGEST_PORT: String(port),
        INGEST_HOST: "127.0.0.1",
        INGEST_INTERNAL_PORT: "0",
        INTAKE_REFUSED_DIR: refused,
        [SIMULATED.secretsFrom]: SECRET,
      }),
    );
    const workers = [0, 1].map((number) =>
      keep("worker", number, {
        WORKER_INTERNAL_PORT: "0",
        WORKER_LOCK_MS: "5000",
        PENSTOCK_CONFIG: join(import.meta.dirname, "penstock/penstock.config.ts"),
        CHAOS_OUTSIDE: outside.url,
        CHAOS_ORDERS: orders,
      }),
    );
    const refusedFiles = async (): Promise<number> => (await readdir(refused)).length;
    return { backend, postgres, store, redis, ingests, workers, proxies, outside, refusedFiles, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Starts a program, and starts it again whenever it ends. */
function keepRunning(spec: ProgramSpec): Kept & { end(): Promise<void> } {
  let program: Program | null = null;
  let isClosing = false;
  const crashes: number[] = [];
  const running = (async () => {
    while (!isClosing) {
      // One that cannot start, since Postgres is away, is tried again, as a supervisor does.
      program = await startProgram(spec).catch(() => null);
      if (program === null) await sleep(500);
      else if (isClosing) await program.stop();
      else {
        // Null: a signal has ended it.
        const code = await program.ended;
        if (code !== null && code !== 0) crashes.push(code);
      }
      program = null;
    }
  })();
  return {
    name: spec.role,
    crashes,
    isReady: () => program !== null,
    pid: () => program?.pid ?? null,
    signal: (signal) => void program?.child.kill(signal),
    async end() {
      isClosing = true;
      program?.child.kill("SIGKILL");
      await running;
    },
  };
}

/** A server that was killed may find that some connection has its port for a moment. */
export const untilStarted = (start: () => Promise<void>): Promise<void> =>
  eventually(start, { timeoutMs: 60_000, intervalMs: 500 });

async function openPostgres(): Promise<Database & { remove(): Promise<void> }> {
  const dir = await makeServerDirectory();
  const remove = async (): Promise<void> => {
    await removeEmbeddedPostgres(dir);
    await removeServerDirectory(dir);
  };
  let server = await startEmbeddedPostgres({ dir, settings: SETTINGS, flushNewData: false }).catch(
    async (error: unknown) => {
      await remove();
      throw error;
    },
  );
  const { url, port } = server;
  return {
    url,
    kill: () => signalServer(server.pid, "SIGKILL"),
    start: () =>
      untilStarted(async () => {
        server = await startEmbeddedPostgres({ dir, port, settings: SETTINGS });
      }),
    freeze: () => signalServer(server.pid, "SIGSTOP"),
    thaw: () => signalServer(server.pid, "SIGCONT"),
    async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) {
      const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
      client.on("error", () => undefined);
      try {
        await client.connect();
        return (await client.query<Row>(sql, values)).rows;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    remove,
  };
}
