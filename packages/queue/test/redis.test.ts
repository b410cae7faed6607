import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { eventually, startProcess, startRedis } from "@penstock/testing";
import { createCertificate } from "@penstock/testing/certificate";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { openTestQueue } from "./open-test-queue.ts";
import { queueContract } from "./queue-contract.ts";

async function ask<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 3 });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

queueContract("Redis", async () => {
  const server = await startRedis();
  return {
    server,
    prepare: async () => {},
    loseEverything: async () => void (await ask(server.url, (redis) => redis.flushall())),
    countJobs: async () => {
      const keys = await ask(server.url, (redis) => redis.keys("bull:events:*"));
      return keys.filter((key) => /:b\d+$/.test(key)).length;
    },
  };
});

test.each([
  ["noeviction", []],
  ["allkeys-lru", [expect.stringMatching(/maxmemory-policy allkeys-lru.*noeviction/)]],
])("a Redis whose maxmemory-policy is %s is warned about as it deserves", async (policy, warnings) => {
  const server = await startRedis();
  await ask(server.url, (redis) => redis.config("SET", "maxmemory-policy", policy));
  const queue = openTestQueue(server.url);
  expect(await queue.warnings()).toEqual(warnings);
  await queue.close();
});

describe("a Redis that answers and refuses what a queue needs is told by what to do about it:", () => {
  const setUser = (redis: Redis, rules: string): Promise<unknown> =>
    redis.call("ACL", "SETUSER", "worker", "on", ">pw", ...rules.split(" "));
  test.each<[string, (redis: Redis) => Promise<unknown>, string, RegExp]>([
    ["no password", (redis) => redis.config("SET", "requirepass", "pw"), "", /wants a password.*QUEUE_URL has none/],
    [
      "another password",
      (redis) => redis.config("SET", "requirepass", "pw"),
      ":other@",
      /refuses the .*password in QUEUE_URL/,
    ],
    ["a replica", (redis) => redis.replicaof("127.0.0.1", 1), "", /replica.*address of its primary into QUEUE_URL/],
    ["no memory left", (redis) => redis.config("SET", "maxmemory", 1), "", /maxmemory.*Raise it/],
    ["no replicas", (redis) => redis.config("SET", "min-replicas-to-write", 1), "", /min-replicas-to-write/],
    ["no scripts", (redis) => setUser(redis, "~* &* +@all -eval -evalsha"), "worker:pw@", /may not .*ACL SETUSER/],
    [
      "no writes",
      (redis) => setUser(redis, "~* &* +@read +@connection +@scripting +info"),
      "worker:pw@",
      /may not .*ACL SETUSER/,
    ],
    ["other keys", (redis) => setUser(redis, "~other:* &* +@all"), "worker:pw@", /may not .*ACL SETUSER/],
    ["no INFO", (redis) => setUser(redis, "~* &* +@all -info"), "worker:pw@", /may not .*ACL SETUSER/],
    ["no blocking reads", (redis) => setUser(redis, "~* &* +@all -bzpopmin"), "worker:pw@", /may not .*ACL SETUSER/],
  ])("%s", async (_what, refuse, login, message) => {
    const server = await startRedis();
    await ask(server.url, refuse);
    const url = server.url.replace("//", `//${login}`);
    const queue = openTestQueue(url);
    await expect(queue.ping()).rejects.toMatchObject({
      code: "QUEUE_UNAVAILABLE",
      message: expect.stringMatching(message) as string,
    });
    const [warning, ...others] = await queue.warnings();
    expect(warning).toMatch(message);
    expect(warning).toMatch(/events are accepted and kept in Postgres/);
    expect(others).toEqual([]);
    expect(warning).not.toMatch(/pw|other@|\n/);
    await queue.close();
  });

  test("a database that there is none of", async () => {
    const server = await startRedis();
    const queue = openTestQueue(`${server.url}/99`);
    await expect(queue.ping()).rejects.toThrow(/no database of the number at the end of QUEUE_URL/);
    await queue.close();
  });

  test("what adds and what consumes says the same; all is well once it is mended", async () => {
    const server = await startRedis();
    await ask(server.url, (redis) => redis.config("SET", "maxmemory", 1));
    const queue = openTestQueue(server.url);
    const heard: string[] = [];
    const done: number[] = [];
    const consumer = queue.consume(({ batches }) => Promise.resolve(void done.push(...batches)), {
      concurrency: 1,
      onError: ({ message }) => heard.push(message),
    });
    await expect(queue.add([[1]])).rejects.toThrow(/maxmemory.*Raise it/);
    await eventually(() => expect(heard.join()).toMatch(/maxmemory.*Raise it/));
    await ask(server.url, (redis) => redis.config("SET", "maxmemory", 0));
    await queue.ping();
    expect(await queue.warnings()).toEqual([]);
    expect(await ask(server.url, (redis) => redis.keys("*check*"))).toEqual([]);
    await queue.add([[2]]);
    await eventually(() => expect(done).toContain(2));
    await consumer.close(1_000);
    await queue.close();
  });
});

test("a Redis whose certificate is of an authority of its own is told with the way out, which works", async () => {
  const server = await startRedis();
  const { key, cert } = createCertificate(["localhost"]);
  const encrypted = createServer({ key, cert }, (socket) => {
    const inside = connect(server.port, "127.0.0.1");
    socket.on("error", () => inside.destroy()).pipe(inside);
    inside.on("error", () => socket.destroy()).pipe(socket);
  });
  encrypted.on("tlsClientError", () => undefined).listen(0, "127.0.0.1");
  await once(encrypted, "listening");
  const folder = await mkdtemp(join(tmpdir(), "penstock-ca-"));
  onTestFinished(async () => {
    encrypted.close();
    await rm(folder, { recursive: true });
  });
  const authority = join(folder, "ca.pem");
  await writeFile(authority, cert);
  const ping = async (env: Record<string, string>): Promise<string> => {
    const url = `rediss://localhost:${(encrypted.address() as AddressInfo).port}`;
    const file = new URL("./fixtures/ping.ts", import.meta.url);
    const process = startProcess({ file, env: { QUEUE_URL: url, ...env } });
    await process.exited;
    return process.stdout.join("\n");
  };
  expect(await ping({})).toMatch(/certificate of Redis is not accepted: .*NODE_EXTRA_CA_CERTS=<its file>/);
  expect(await ping({ NODE_EXTRA_CA_CERTS: authority })).toBe("all is well");
});

test("the stream of events that BullMQ keeps stays short", async () => {
  const server = await startRedis();
  const queue = openTestQueue(server.url);
  for (let times = 0; times < 10; times++)
    await queue.add(Array.from({ length: 100 }, (_, at) => [100 * times + at + 1]));
  expect(await ask(server.url, (redis) => redis.xlen("bull:events:events"))).toBeLessThan(500);
  await queue.close();
});
