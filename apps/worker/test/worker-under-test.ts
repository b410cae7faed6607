import type { PenstockConfig } from "@penstock/handler-sdk";
import { migrateQueue, openQueue, type EventQueue } from "@penstock/queue";
import type { QueueConfig } from "@penstock/schemas";
import { type EventOverrides, makeEvent } from "@penstock/schemas/fixtures";
import { commitBatch, createQueuePool, createStore, migrate, type Store } from "@penstock/store";
import { createTestDatabase, createTestRedis, eventually, startProcess, type TestProcess } from "@penstock/testing";
import { Redis } from "ioredis";
import { expect } from "vitest";

export const main = new URL("../src/main.ts", import.meta.url);

/** A worker that vanishes is missed soon, and not while it merely starts slowly. */
export const SOON = { WORKER_LOCK_MS: "2000" };

/** Time enough for a handful of workers to start one after the other on a busy machine. */
export const PATIENCE_MS = 150_000;

export function openPool(url: string | undefined, maxConnections: number) {
  return createQueuePool({
    connectionString: url ?? "",
    schema: "bullmq",
    maxConnections,
    applicationName: "worker-test-queue",
  });
}

/** Migrates a database for these handlers and for the queue. */
export const migrateFor =
  ({ handlers }: PenstockConfig) =>
  async (url: string): Promise<void> => {
    const store = createStore({ connectionString: url, applicationName: "worker-test", maxConnections: 2 });
    await migrate(store, handlers);
    await migrateQueue({ kind: "postgres", url }, openPool);
    await store.close();
  };

/** What a handler is told to do by the text of a message, or all of what is to be special about an event. */
export type Order = string | EventOverrides;

/** Commits events whose handlers are told these orders, as intake does, as one batch; with `blanks` behind each body. */
export async function addTo(
  store: Store,
  orders: readonly Order[],
  blanks = Buffer.alloc(0),
): Promise<{ batch: number; ids: string[] }> {
  const events = orders.map((order) =>
    makeEvent("message.received", typeof order === "string" ? { data: { body: order } } : order),
  );
  const batch = await commitBatch(
    store,
    events.map((event) => ({
      source: "buzzbip",
      eventId: event.id,
      key: null,
      type: event.type,
      createdAt: new Date(event.createdAt),
      subjects: [event.data.contactId],
      problem: null,
      traceparent: null,
      bodyVaries: false,
      body: Buffer.concat([Buffer.from(JSON.stringify(event)), blanks]),
      replay: null,
    })),
  );
  return { batch, ids: events.map(({ id }) => id) };
}

/** A database and a queue of a test's own, on which workers run. */
export interface Workplace {
  readonly store: Store;
  readonly queue: EventQueue;
  readonly config: QueueConfig;
  /** A worker once it is ready, with more of an environment. */
  start(extra?: Record<string, string>): Promise<TestProcess>;
  /** Commits events with these orders as one batch, and adds its job unless told not to; returns the events' ids. */
  add(orders: readonly Order[], options?: { enqueue?: boolean }): Promise<string[]>;
  /** As ingest does, however the servers are: commits them, else they are refused, then adds the job. Returns how many it has. */
  accept(orders: readonly Order[]): Promise<number>;
  /** How many deliveries of each subscriber are in which state, sorted: `subscriber state count`. */
  states(): Promise<string[]>;
  /** The time by Postgres. */
  now(): Promise<Date>;
  /** Takes all jobs away. */
  loseQueue(): Promise<void>;
  close(): Promise<void>;
}

/** Makes a workplace for the handlers of a configuration; `url` and `redisUrl` are servers of the test's own. */
export async function createWorkplace(options: {
  readonly kind: "postgres" | "redis";
  readonly template: string;
  readonly plugged: PenstockConfig;
  readonly configPath: string;
  readonly url?: string;
  readonly redisUrl?: string;
}): Promise<Workplace> {
  const { kind, template, plugged, configPath } = options;
  const url = options.url ?? (await createTestDatabase({ template, migrate: migrateFor(plugged) })).url;
  if (options.url !== undefined) await migrateFor(plugged)(url);
  const store = createStore({ connectionString: url, applicationName: "worker-test", maxConnections: 4 });
  const redisUrl = async (): Promise<string> => options.redisUrl ?? (await createTestRedis()).url;
  const config: QueueConfig = kind === "redis" ? { kind, url: await redisUrl() } : { kind, url };
  const queue = openQueue(config, openPool);
  await eventually(() => queue.ping());
  const env = {
    DATABASE_URL: url,
    ...(config.kind === "redis" ? { QUEUE_URL: config.url } : {}),
    PENSTOCK_CONFIG: configPath,
    LOG_LEVEL: "info",
  };
  const started: TestProcess[] = [];
  return {
    store,
    queue,
    config,
    async start(extra = {}) {
      const worker = startProcess({ file: main, env: { ...env, ...extra }, name: "worker" });
      started.push(worker);
      await worker.waitForLine(/worker ready/, 60_000);
      return worker;
    },
    async add(orders, { enqueue = true } = {}) {
      const { batch, ids } = await addTo(store, orders);
      if (enqueue) await queue.add([[batch]]);
      return ids;
    },
    async accept(orders) {
      const added = await addTo(store, orders).catch(() => null);
      if (added === null) return 0;
      await queue.add([[added.batch]]).catch(() => undefined);
      return added.ids.length;
    },
    async states() {
      const { rows } = await store.pool.query<{ line: string }>(
        `SELECT subscriber || ' ' || state || ' ' || count(*) AS line FROM penstock.deliveries
          GROUP BY subscriber, state ORDER BY 1`,
      );
      return rows.map(({ line }) => line);
    },
    async now() {
      const { rows } = await store.pool.query<{ now: Date }>("SELECT clock_timestamp() AS now");
      return rows[0]?.now ?? new Date(NaN);
    },
    loseQueue: () => emptyQueue(config),
    async close() {
      // One that goes on would keep the machine busy for the tests that follow.
      for (const worker of started.splice(0)) worker.kill();
      await queue.close();
      await store.close();
    },
  };
}

async function emptyQueue(config: QueueConfig): Promise<void> {
  if (config.kind === "redis") {
    const redis = new Redis(config.url);
    await redis.flushdb();
    redis.disconnect();
    return;
  }
  const pool = openPool(config.url, 1);
  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'bullmq' AND tablename LIKE '%job%'",
  );
  expect(rows.length).toBeGreaterThan(0);
  await pool.query(`TRUNCATE ${rows.map(({ name }) => `bullmq.${name}`).join(", ")} CASCADE`);
  await pool.end();
}
