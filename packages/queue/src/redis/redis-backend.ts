import { Redis } from "ioredis";
import type { QueueBackend } from "../create-queue.ts";
import { explainRedisError, tryRedis } from "./redis-trial.ts";

/** BullMQ on Redis or Valkey. Needs no persistence, and `maxmemory-policy noeviction`. */
export function redisBackend(url: string, prefix?: string): QueueBackend {
  const connect = (options: object): Redis => {
    const redis = new Redis(url, { connectTimeout: 5_000, keepAlive: 10_000, ...options });
    // Errors of a connection are told by the commands that fail; without a listener ioredis prints them.
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
      // Why there is no connection: a command that fails for want of one does not say.
      let refusal: Error | undefined;
      redis.on("error", (error) => (refusal = error));
      redis.on("ready", () => {
        // After it the client goes on with database 0.
        if (!isWrongDatabase(refusal)) refusal = undefined;
      });
      return {
        connection: redis,
        settled: createSettled(redis),
        refusal: () => (redis.status === "ready" ? undefined : refusal),
        async ping() {
          if (refusal !== undefined && isWrongDatabase(refusal)) throw refusal;
          await tryRedis(redis, prefix ?? "bull");
        },
        async warnings() {
          const policy = /maxmemory_policy:(\S+)/.exec(await redis.info("memory"))?.[1];
          return policy === undefined || policy === "noeviction"
            ? []
            : [`Redis has maxmemory-policy ${policy}: set it to noeviction, or it drops jobs when memory runs short`];
        },
        cut: () => disconnect(redis),
      };
    },
    connectConsumer() {
      const redis = connect({ maxRetriesPerRequest: null });
      return { connection: redis, cut: () => disconnect(redis) };
    },
  };
}

const isWrongDatabase = (error: Error | undefined): boolean => error?.message.includes("DB index") === true;

/** Without this wait, what is added in the first milliseconds of a process would fail: there is no offline queue. */
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
