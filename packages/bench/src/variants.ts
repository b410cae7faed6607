import type { EventSeries } from "./events.ts";
import { SECRET } from "./events.ts";
import type { HandlerSet } from "./penstock/handlers.ts";
import type { ProgramSpec } from "@penstock/testing/servers";
import type { Stage } from "./stage.ts";

/** One way to take events in and process them: Penstock in some setting, or a peer. */
export interface Variant {
  readonly name: string;
  /** The program that takes webhooks on a port; none where only processing is compared. */
  serve?(stage: Stage, port: number, env?: Env): ProgramSpec;
  /** The program that processes. */
  work?(stage: Stage, env?: Env): ProgramSpec;
  /** The program that fills the queue where there is none that serves. */
  enqueue?(stage: Stage, backlog: EventSeries & { readonly events: number }): ProgramSpec;
  /**
   * Whether its Redis flushes each write, since what it acknowledges is nowhere else. Penstock has acknowledged what is in
   * Postgres, and its Redis holds pointers: it keeps nothing on disk, as in docker-compose.yml.
   */
  readonly flushesRedis: boolean;
  /** How many events are held for processing. */
  stored?(stage: Stage): Promise<number>;
  /** How many marks say that a handler of these schemas has processed an event. */
  ledger(stage: Stage, schemas: readonly string[]): Promise<number>;
  /** About how many events it processes in a second: a backlog is made so large that it lasts for the time wanted. */
  readonly perSecond: number;
}

type Env = Readonly<Record<string, string>>;

const count = async (stage: Stage, sql: string, values: unknown[] = []): Promise<number> =>
  Number((await stage.query<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`, values))[0]?.n);

function penstock(
  name: string,
  queue: "redis" | "postgres",
  perSecond: number,
  handlers: HandlerSet = "batch",
): Variant {
  const common = (stage: Stage): Env => ({
    DATABASE_URL: stage.databaseUrl,
    ...(queue === "redis" ? { QUEUE_URL: stage.redis.url } : {}),
    INTERNAL_HOST: "127.0.0.1",
    INGEST_INTERNAL_PORT: "0",
    WORKER_INTERNAL_PORT: "0",
    // As `npm start` and the images set them. Peers run as Node comes.
    MALLOC_ARENA_MAX: "2",
  });
  return {
    name,
    perSecond,
    flushesRedis: false,
    serve: (stage, port, env) => ({
      role: "ingest",
      file: import.meta.resolve("@penstock/ingest/main"),
      env: {
        ...common(stage),
        INGEST_PORT: String(port),
        INGEST_HOST: "127.0.0.1",
        BUZZBIP_SIGNING_SECRETS: SECRET,
        ...env,
      },
      ready: "ingest ready",
    }),
    work: (stage, env) => ({
      role: "worker",
      file: import.meta.resolve("@penstock/worker/main"),
      env: {
        ...common(stage),
        PENSTOCK_CONFIG: `${import.meta.dirname}/penstock/penstock.config.ts`,
        BENCH_HANDLERS: handlers,
        // It would take the time before a backlog is made, in which a worker is held, for a loop that hangs.
        WATCHDOG_MS: "0",
        ...env,
      },
      ready: "worker ready",
    }),
    async stored(stage) {
      const [row] = await stage.query<{ n: string }>(
        "SELECT (SELECT count(*) FROM penstock.events) + (SELECT coalesce(sum(events), 0) FROM penstock.pending) AS n",
      );
      return Number(row?.n);
    },
    ledger: (stage, schemas) =>
      count(
        stage,
        "penstock.event_keys JOIN penstock.deliveries USING (day, seq) WHERE state = 'succeeded' AND subscriber = ANY($1)",
        [schemas.map((schema) => schema.replace("_", "-"))],
      ),
  };
}

function peer(name: string, file: string, perSecond: number, mode = "single"): Variant {
  const program = (role: string, command: string, stage: Stage, env: Env = {}, ...args: string[]): ProgramSpec => ({
    role,
    file,
    args: [command, ...args],
    env: { DATABASE_URL: stage.databaseUrl, REDIS_URL: stage.redis.url, SECRET, MODE: mode, ...env },
  });
  return {
    name,
    perSecond,
    flushesRedis: true,
    serve: (stage, port, env) => program("ingest", "serve", stage, { PORT: String(port), ...env }),
    work: (stage, env) => program("worker", "work", stage, env),
    enqueue: (stage, backlog) => program("enqueue", "enqueue", stage, {}, JSON.stringify(backlog)),
    ledger: (stage) => count(stage, "bench.ledger"),
  };
}

const idiomatic = peer("idiomatic", "peers/idiomatic.ts", 3_000);

/** Every variant by its name. */
export const VARIANTS = {
  limit: {
    name: "limit",
    perSecond: 0,
    flushesRedis: false,
    serve: (_, port) => ({ role: "ingest", file: "peers/limit.ts", env: { PORT: String(port), SECRET } }),
    ledger: () => Promise.reject(new Error("the limit stores nothing")),
  },
  idiomatic: { ...idiomatic, stored: countJobs },
  bullmq: { ...idiomatic, name: "bullmq" },
  graphile: peer("graphile", "peers/graphile-worker.ts", 3_000),
  "express-graphile": peer("express-graphile", "peers/graphile-worker.ts", 3_000),
  "graphile-batch": peer("graphile-batch", "peers/graphile-worker.ts", 20_000, "batch"),
  pgboss: peer("pgboss", "peers/pg-boss.ts", 2_500),
  "express-pgboss": peer("express-pgboss", "peers/pg-boss.ts", 2_500),
  "pgboss-batch": peer("pgboss-batch", "peers/pg-boss.ts", 8_000, "batch"),
  "penstock-redis": penstock("penstock-redis", "redis", 15_000),
  "penstock-postgres": penstock("penstock-postgres", "postgres", 15_000),
  "penstock-plain": penstock("penstock-plain", "redis", 5_000, "plain"),
  "penstock-counting": penstock("penstock-counting", "redis", 12_000, "counting"),
  "penstock-five": penstock("penstock-five", "redis", 5_000, "five"),
  "penstock-outbound": penstock("penstock-outbound", "redis", 4_000),
  undici: {
    name: "undici",
    perSecond: 12_000,
    flushesRedis: false,
    ledger: () => Promise.reject(new Error("undici stores nothing")),
  },
  "penstock-five-one-failing": penstock("penstock-five-one-failing", "redis", 5_000, "fiveOneFailing"),
} satisfies Record<string, Variant> as Record<string, Variant>;

/** The jobs that BullMQ's queue of the idiomatic peer holds. */
async function countJobs(stage: Stage): Promise<number> {
  const { Queue } = await import("bullmq");
  const { Redis } = await import("ioredis");
  const connection = new Redis(stage.redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue("events", { connection });
  try {
    return await queue.count();
  } finally {
    await queue.close();
    connection.disconnect();
  }
}
