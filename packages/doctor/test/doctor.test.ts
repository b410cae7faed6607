import { copyFile, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateMasterKey, parseMasterKeys, sealSourceSecret } from "@penstock/dispatch/seal";
import { createRefusedWriter } from "@penstock/intake";
import { openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import type { QueueConfig } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { addSourceSecret, createQueuePool, createStore, migrate, type Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase, eventually, freePort, startPostgres, startRedis } from "@penstock/testing";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Diagnosis, type Finding, type Patient, readEnvironment, runDoctor } from "@penstock/doctor";

async function migrateAt(url: string): Promise<void> {
  const store = storeAt(url);
  await migrate(store);
  await store.close();
}

function storeAt(connectionString: string): Store {
  return createStore({ connectionString, applicationName: "doctor-test", maxConnections: 3, connectTimeoutMs: 2_000 });
}

/** A migrated database of its own, with what it takes to break it. */
async function newDatabase(): Promise<{ url: string; store: Store }> {
  const { url } = await createTestDatabase({ template: "doctor", migrate: migrateAt });
  const store = storeAt(url);
  onTestFinished(() => store.close());
  return { url, store };
}

function queueAt(config: QueueConfig): NonNullable<Patient["queue"]> {
  const openPool = (connectionString = "", maxConnections: number) =>
    createQueuePool({ connectionString, schema: QUEUE_SCHEMA, maxConnections, applicationName: "doctor-test" });
  const queue = openQueue(config, openPool, { addTimeoutMs: 2_000 });
  onTestFinished(() => queue.close());
  return queue;
}

/** Looks at a database that is well, but for what is given. */
async function look(store: Store, given: Partial<Patient> = {}): Promise<Diagnosis> {
  return runDoctor({
    ...readEnvironment({}, { sourceSecrets: [] }),
    settings: [],
    store,
    queue: null,
    masterKeys: null,
    handlers: [],
    sources: [{ name: "shop-eu", silentAfterMs: null }],
    version: "0.0.0",
    penstock: "penstock",
    ...given,
  });
}

function findingOf({ parts }: Diagnosis, id: string): Finding | undefined {
  return parts.flatMap(({ findings }) => findings).find((finding) => finding.id === id);
}

test("a database as it should be is well, and every line has a level and, where it is not ok, something to do", async () => {
  const { store } = await newDatabase();
  const diagnosis = await look(store);
  const all = diagnosis.parts.flatMap(({ findings }) => findings);
  for (const id of ["fsync", "synchronous_commit", "encoding", "writable", "vacuum", "transactions", "bloat"]) {
    const finding = findingOf(diagnosis, `postgres.${id}`);
    // The servers of tests may run without fsync.
    if (id !== "fsync") expect([id, finding?.level]).toEqual([id, "ok"]);
  }
  expect(findingOf(diagnosis, "schema.migrations")?.level).toBe("ok");
  expect(findingOf(diagnosis, "schema.partitions")).toMatchObject({
    level: "ok",
    says: expect.stringContaining("7 days ahead") as string,
  });
  expect(findingOf(diagnosis, "clocks.postgres")?.level).toBe("ok");
  expect(findingOf(diagnosis, "work.backlog")?.level).toBe("ok");
  for (const { level, todo } of all) expect(todo === null).toBe(level === "ok");
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
});

describe("what is wrong in the database is told:", () => {
  test.each<[string, string, string, RegExp]>([
    [
      "synchronous_commit off",
      "ALTER DATABASE $db SET synchronous_commit = off",
      "postgres.synchronous_commit",
      /^warn.*events are safe/,
    ],
    ["read-only", "ALTER DATABASE $db SET default_transaction_read_only = on", "postgres.writable", /^fail.*503/],
    [
      "a migration that is missing",
      "DELETE FROM penstock.kysely_migration WHERE name = '0001-baseline'",
      "schema.migrations",
      /^fail.*0001-baseline/,
    ],
    [
      "no partitions ahead",
      "DO $do$ DECLARE t text; BEGIN FOR t IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'penstock.events'::regclass LOOP EXECUTE 'ALTER TABLE penstock.events DETACH PARTITION ' || t; END LOOP; END $do$",
      "schema.partitions",
      /^fail.*0 days/,
    ],
    [
      "an old pending batch",
      "INSERT INTO penstock.pending (batch, day, events, bytes, accepted_at) VALUES (1, current_date, 3, 10, now() - interval '1 hour')",
      "work.backlog",
      /^fail.*3 events wait, the oldest for 60 min/,
    ],
    [
      "handlers that nobody runs",
      "INSERT INTO penstock.handlers (name, kind, types, seen_at) VALUES ('tickets', 'transactional', '{a}', now() - interval '1 hour')",
      "work.workers",
      /^fail.*no worker runs/,
    ],
    [
      "requests that are refused",
      "INSERT INTO penstock.source_activity (source, refused_at, refused) VALUES ('shop-eu', now(), 3)",
      "sources.shop-eu",
      /^warn.*refused/,
    ],
  ])("%s", async (_, statement, id, expected) => {
    const { url, store } = await newDatabase();
    const name = new URL(url).pathname.slice(1);
    await store.pool.query(statement.replace("$db", `"${name}"`));
    // Settings of a database hold for new connections.
    const fresh = storeAt(url);
    onTestFinished(() => fresh.close());
    const found = findingOf(await look(fresh), id);
    expect(`${found?.level} ${found?.says}`).toMatch(expected);
    expect(found?.todo).toBeTruthy();
  });

  test("an old transaction, with the process to end", async () => {
    const { url, store } = await newDatabase();
    const other = storeAt(url);
    onTestFinished(() => other.close());
    const client = await other.pool.connect();
    await client.query("SET idle_in_transaction_session_timeout = 0; BEGIN");
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const isYoung = findingOf(await look(store), "postgres.transactions");
    expect(isYoung?.level).toBe("ok");
    const isOld = findingOf(await look(store, { oldTransactionSeconds: 0 }), "postgres.transactions");
    expect(isOld).toMatchObject({
      level: "warn",
      says: expect.stringContaining("doctor-test") as string,
      todo: expect.stringContaining(`pg_terminate_backend(${rows[0]?.pid})`) as string,
    });
    await client.query("ROLLBACK");
    client.release();
  });

  test("fsync off, and a synchronous standby that is not there", async () => {
    const server = await startPostgres({ settings: { fsync: "off", full_page_writes: "off" } });
    await migrateAt(server.url);
    const store = storeAt(server.url);
    onTestFinished(() => store.close());
    // Only now: without its standby no commit comes back.
    await store.pool.query("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'");
    await store.pool.query("SELECT pg_reload_conf()");
    await eventually(async () => {
      const diagnosis = await look(store);
      expect(findingOf(diagnosis, "postgres.replication")).toMatchObject({
        level: "fail",
        says: expect.stringContaining("elsewhere") as string,
      });
      expect(findingOf(diagnosis, "postgres.fsync")).toMatchObject({ level: "fail" });
      expect(diagnosis.level).toBe("fail");
    });
  });
});

describe("secrets in the database:", () => {
  const seal = async (store: Store, key: string): Promise<void> => {
    const secret = sealSourceSecret(parseMasterKeys(key), "shop-eu", "whsec_that_nobody_is_to_see");
    await addSourceSecret(store, secret, "test");
  };

  test("a wrong master key, and none, are told, and no secret is", async () => {
    const { store } = await newDatabase();
    const key = generateMasterKey();
    await seal(store, key);
    const of = async (masterKeys: string | null) => findingOf(await look(store, { masterKeys }), "secrets.master-key");
    expect(await of(key)).toMatchObject({ level: "ok" });
    expect(await of(`${generateMasterKey()},${key}`)).toMatchObject({ level: "ok" });
    expect(await of(generateMasterKey())).toMatchObject({
      level: "fail",
      says: expect.stringContaining("shop-eu") as string,
    });
    expect(await of(null)).toMatchObject({ level: "fail", says: expect.stringContaining("not set") as string });
  });
});

/** Leaves a Redis little more memory than it uses. */
async function fill(redis: Redis): Promise<void> {
  await redis.setrange("filler", 16 * 1024 * 1024, "x");
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))?.[1]);
  await redis.config("SET", "maxmemory", Math.round(used * 1.05));
}

describe("the queue on Redis:", () => {
  test.each<[string, (redis: Redis) => Promise<unknown>, string, RegExp]>([
    ["as it should be", () => Promise.resolve(), "queue.eviction", /^ok .*noeviction/],
    [
      "evicts",
      (redis) => redis.config("SET", "maxmemory-policy", "allkeys-lru"),
      "queue.eviction",
      /^fail.*allkeys-lru/,
    ],
    ["is a replica", (redis) => redis.replicaof("127.0.0.1", 1), "queue.works", /^fail.*replica/],
    ["is nearly full", fill, "queue.memory", /^warn it uses .* of .*soon it takes no more jobs/],
  ])("it %s", async (_, breakIt, id, expected) => {
    const server = await startRedis();
    const redis = new Redis(server.url, { maxRetriesPerRequest: 3 });
    await breakIt(redis);
    redis.disconnect();
    const { store } = await newDatabase();
    const found = findingOf(await look(store, { queue: queueAt({ kind: "redis", url: server.url }) }), id);
    expect(`${found?.level} ${found?.says}`).toMatch(expected);
  });

  test("it is away: that is told, and all else is looked at", async () => {
    const { store } = await newDatabase();
    const queue = queueAt({ kind: "redis", url: `redis://127.0.0.1:${await freePort()}` });
    const diagnosis = await look(store, { queue });
    expect(findingOf(diagnosis, "queue.works")).toMatchObject({ level: "fail" });
    expect(findingOf(diagnosis, "postgres.encoding")).toMatchObject({ level: "ok" });
  });
});

test("files of refused requests that wait for long, and damaged ones, are told", async () => {
  const folder = await mkdtemp(join(tmpdir(), "penstock-refused-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { store } = await newDatabase();
  const findings = async () => {
    const diagnosis = await look(store, { refusedFolder: folder });
    return [findingOf(diagnosis, "outages.refused-files"), findingOf(diagnosis, "outages.damaged-files")];
  };
  expect(await findings()).toMatchObject([{ level: "ok" }, undefined]);
  const log = createLogger({ service: "doctor-test", level: "silent" });
  const writer = createRefusedWriter({ folder, maxBytes: null, log });
  const body = Buffer.from(JSON.stringify(makeEvent("contact.created")));
  const identity = buzzbip().identify(requestOfBody(body));
  await writer.keep({ source: "buzzbip", identity, body, traceparent: null });
  await writer.release();
  const [young = ""] = await readdir(folder);
  expect(await findings()).toMatchObject([
    { level: "ok", says: expect.stringContaining("1 file of") as string },
    undefined,
  ]);
  await copyFile(join(folder, young), join(folder, `damaged-${young}`));
  await rename(join(folder, young), join(folder, "refused-20260101T000000000Z-0123abcd.ndjson"));
  expect(await findings()).toMatchObject([
    { level: "warn", todo: expect.stringContaining("penstock import") as string },
    { level: "warn", says: expect.stringContaining(young) as string },
  ]);
  expect(findingOf(await look(store, { refusedFolder: join(folder, "none") }), "outages.refused-files")?.level).toBe(
    "ok",
  );
});

test("without Postgres, that is told, and settings, queue and exporters are looked at all the same", async () => {
  const store = storeAt(`postgres://127.0.0.1:${await freePort()}/penstock`);
  onTestFinished(() => store.close());
  const server = await startRedis();
  const collector = `http://127.0.0.1:${await freePort()}`;
  const environment = readEnvironment(
    {
      DATABASE_URL: "postgres://user:s3cret@db.example.com/penstock",
      RETENTION_DAYS: "many",
      INGEST_PROT: "80",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    },
    { sourceSecrets: ["SHOP_EU_SIGNING_SECRETS"], provided: { PENSTOCK_MASTER_KEY: generateMasterKey() } },
  );
  const diagnosis = await look(store, { ...environment, queue: queueAt({ kind: "redis", url: server.url }) });
  expect(diagnosis.level).toBe("fail");
  expect(findingOf(diagnosis, "postgres.reachable")).toMatchObject({ level: "fail" });
  expect(findingOf(diagnosis, "queue.works")).toMatchObject({ level: "ok" });
  expect(findingOf(diagnosis, "telemetry.exporter")).toMatchObject({ level: "warn" });
  expect(findingOf(diagnosis, "settings.RETENTION_DAYS")).toMatchObject({ level: "fail" });
  expect(findingOf(diagnosis, "settings.INGEST_PROT")).toMatchObject({ level: "warn" });
  const settingOf = (name: string) => diagnosis.settings.find((setting) => setting.name === name);
  expect(settingOf("DATABASE_URL")).toMatchObject({ value: "postgres://db.example.com/penstock", from: "environment" });
  expect(settingOf("PENSTOCK_MASTER_KEY")).toMatchObject({ value: "(set, not shown)", from: "provided" });
  expect(settingOf("INGEST_PORT")).toMatchObject({ value: "8080", from: "default" });
  expect(JSON.stringify(diagnosis)).not.toMatch(/s3cret/);
});
