import { Redis } from "ioredis";
import type { QueueBackend } from "../create-queue.ts";
import { inspectRedis } from "./inspect-redis.ts";
import { explainRedisError, checkRedis } from "./redis-check.ts";

/** BullMQ on Redis or Valkey. Needs no persistence, and `maxmemory-policy noeviction`. */
export function redisBackend(url: string, prefix?: string): QueueBackend {
  const connect = (options: object): Redis => {
    const redis = new Redis(url, { connectTimeout: 5_000, keepAlive: 10_000, ...options });
    // Commands that fail report errors of the connection; without a listener ioredis prints them as well.
    redis.on("error", () => undefined);
    return redis;
  };
  return {
    name: "redis",
    factory: [],
    explain: explainRedisError,
    ...(prefix === undefined ? {} : { prefix }),
    connectProducer() {
      const redis = connect({ enableOfflineQueue: false, maxRetriesPerRequest: 1 });
      // Why there is no connection: a command that fails without a connection does not say.
      let refusal: Error | undefined;
      redis.on("error", (error) => (refusal = error));
      redis.on("ready", () => {
        // ioredis goes on with database 0 where the wanted one does not exist.
        if (!isWrongDatabase(refusal)) refusal = undefined;
      });
      return {
        connection: redis,
        settled: createSettled(redis),
        refusal: () => (redis.status === "ready" ? undefined : refusal),
        async ping() {
          if (refusal !== undefined && isWrongDatabase(refusal)) throw refusal;
          await checkRedis(redis, prefix ?? "bull");
        },
        async warnings() {
          const policy = /maxmemory_policy:(\S+)/.exec(await redis.info("memory"))?.[1];
          return policy === undefined || policy === "noeviction"
            ? []
            : [`Redis has maxmemory-policy ${policy}: set it to noeviction, or it drops jobs when memory runs short`];
        },
        inspect: () => inspectRedis(redis),
        disconnect: () => disconnect(redis),
      };
    },
    connectConsumer() {
      const redis = connect({ maxRetriesPerRequest: null });
      return { connection: redis, disconnect: () => disconnect(redis) };
    },
  };
}

const isWrongDatabase = (error: Error | undefined): boolean => error?.message.includes("DB index") === true;

/** Without this wait, a job that is added in the first milliseconds of a process would fail: there is no offline queue. */
function createSettled(redis: Redis): () => Promise<void> {
  let attempt: Promise<void> | undefined;
  return () => {
    if (redis.status !== "connecting" && redis.status !== "connect") return Promise.resolve();
    attempt ??= new Promise((resolve) => {
      const done = (): void => {
        redis.off("ready", done).off("close", done);
        attempt = undefined;
        resolve();
      };
      redis.on("ready", done).on("close", done);
    });
    return attempt;
  };
}

function disconnect(redis: Redis): Promise<void> {
  redis.disconnect();
  return Promise.resolve();
}
