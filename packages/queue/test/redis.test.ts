import { startRedis } from "@penstock/testing";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
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
      return keys.filter((key) => /:[0-9a-f]{8}-[0-9a-f-]{27}$/.test(key)).length;
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

test("the stream of events that BullMQ keeps stays short", async () => {
  const server = await startRedis();
  const queue = openTestQueue(server.url);
  for (let times = 0; times < 10; times++) await queue.add(Array.from({ length: 100 }, () => crypto.randomUUID()));
  expect(await ask(server.url, (redis) => redis.xlen("bull:events:events"))).toBeLessThan(500);
  await queue.close();
});
