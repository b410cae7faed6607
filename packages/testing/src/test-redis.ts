import { Redis } from "ioredis";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { atFileEnd } from "./file-end.ts";
import { provided } from "./provided.ts";

/** A Redis database of a test file's own. */
export interface TestRedis {
  /** With the number of the database. */
  url: string;
  /** Empties it and gives it back; done by itself at the end of the test file. */
  drop(): Promise<void>;
}

const LAST_DATABASE = 15;
const LEASE_S = 900;

/**
 * Leases an empty database (1 to 15) of the run's Redis: what test files do at the same time is apart, except for commands
 * about the whole server (FLUSHALL, CLIENT, CONFIG) and publish/subscribe. A test that needs those, or more than one
 * database's isolation, takes startRedis.
 *
 * Waits up to a minute while all are leased.
 */
export async function createTestRedis(): Promise<TestRedis> {
  const token = randomBytes(8).toString("hex");
  const number = await withRedis(0, (redis) => lease(redis, token));
  // What a killed run left in a server that was given.
  await withRedis(number, (redis) => redis.flushdb());
  const drop = async (): Promise<void> => {
    const isOurs = await withRedis(0, async (redis) => (await redis.get(leaseKey(number))) === token);
    if (!isOurs) return;
    await withRedis(number, (redis) => redis.flushdb());
    await withRedis(0, (redis) => redis.del(leaseKey(number)));
  };
  atFileEnd(drop);
  return { url: redisUrl(number), drop };
}

async function lease(redis: Redis, token: string): Promise<number> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    for (let number = 1; number <= LAST_DATABASE; number++) {
      if (await redis.set(leaseKey(number), token, "EX", LEASE_S, "NX")) return number;
    }
    if (Date.now() > deadline) throw new Error("All 15 databases of the test Redis are in use.");
    await sleep(100);
  }
}

function leaseKey(number: number): string {
  return `penstock:test:database:${number}`;
}

function redisUrl(number: number): string {
  const url = new URL(provided("testRedisUrl"));
  url.pathname = `/${number}`;
  return url.href;
}

async function withRedis<T>(number: number, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(redisUrl(number), { maxRetriesPerRequest: 1 });
  // Reported by the command that it makes fail.
  redis.on("error", () => {});
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
