import { createTestDatabase, createTestRedis, eventually, startPostgres, startRedis } from "@penstock/testing";
import { Redis } from "ioredis";
import pg from "pg";
import { expect, test } from "vitest";

async function query<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

async function ask<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 0, commandTimeout: 1_000 });
  redis.on("error", () => {});
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

test("two copies of a template are migrated once and do not see each other", async () => {
  let migrations = 0;
  const options = {
    template: "servers_test",
    migrate: async (url: string) => {
      migrations++;
      await query(url, "CREATE TABLE things (name text)");
    },
  };
  const [one, two] = await Promise.all([createTestDatabase(options), createTestDatabase(options)]);
  await query(one.url, "INSERT INTO things VALUES ('a')");
  expect(migrations).toBe(1);
  expect(await query(one.url, "SELECT name FROM things")).toEqual([{ name: "a" }]);
  expect(await query(two.url, "SELECT name FROM things")).toEqual([]);
});

test("databases of the shared Redis are apart and empty", async () => {
  const [one, two] = await Promise.all([createTestRedis(), createTestRedis()]);
  await ask(one.url, (redis) => redis.set("key", "value"));
  expect(await ask(two.url, (redis) => redis.dbsize())).toBe(0);
  expect(await ask(one.url, (redis) => redis.ping())).toBe("PONG");
});

test("a private Postgres keeps what was committed through a kill, on the same port", async () => {
  const server = await startPostgres();
  await query(server.url, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)");
  const firstPid = server.pid;
  await server.kill();
  await expect(query(server.url, "SELECT 1")).rejects.toThrow("ECONNREFUSED");
  await server.start();
  expect(server.pid).not.toBe(firstPid);
  expect(await query(server.url, "SELECT id FROM kept")).toEqual([{ id: 1 }]);
});

test("a frozen Postgres answers nobody, and everybody again when it is thawed", async () => {
  const server = await startPostgres();
  await server.freeze();
  await expect(query(server.url, "SELECT 1")).rejects.toThrow("timeout");
  await server.thaw();
  await eventually(async () => expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]));
});

test.each([
  { persistent: true, left: "value" },
  { persistent: false, left: null },
])("a private Redis, persistent $persistent, holds $left after a kill and a start", async ({ persistent, left }) => {
  const server = await startRedis({ persistent });
  await ask(server.url, (redis) => redis.set("key", "value"));
  await server.kill();
  await expect(ask(server.url, (redis) => redis.get("key"))).rejects.toThrow();
  await server.start();
  expect(await ask(server.url, (redis) => redis.get("key"))).toBe(left);
});

test("a frozen Redis lets commands time out until it is thawed", async () => {
  const server = await startRedis();
  await server.freeze();
  await expect(ask(server.url, (redis) => redis.ping())).rejects.toThrow();
  await server.thaw();
  expect(await ask(server.url, (redis) => redis.ping())).toBe("PONG");
});
