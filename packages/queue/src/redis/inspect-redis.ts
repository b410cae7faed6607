import { wallClockMs } from "@penstock/schemas";
import type { Redis } from "ioredis";
import type { QueueServer } from "../event-queue.ts";

/** Reads how a Redis or Valkey is set up: INFO and TIME, which every server knows. */
export async function inspectRedis(redis: Redis): Promise<QueueServer> {
  const info = parseInfo(await redis.info());
  const before = performance.now();
  const startedAt = wallClockMs();
  const [seconds, microseconds] = await redis.time();
  const tookMs = performance.now() - before;
  const redisMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  // Valkey also tells the version of Redis that it is compatible with.
  const valkey = info.get("valkey_version");
  return {
    kind: "redis",
    name: valkey === undefined ? "Redis" : "Valkey",
    version: valkey ?? info.get("redis_version") ?? "unknown",
    role: info.get("role") ?? "unknown",
    evictionPolicy: info.get("maxmemory_policy") ?? "unknown",
    usedBytes: Number(info.get("used_memory") ?? 0),
    maxBytes: Number(info.get("maxmemory") ?? 0),
    persistence: await readPersistence(redis, info),
    failsToSave: info.get("rdb_last_bgsave_status") === "err" || info.get("aof_last_write_status") === "err",
    evictedKeys: Number(info.get("evicted_keys") ?? 0),
    clockAheadMs: redisMs - (startedAt + tookMs / 2),
    clockWithinMs: tookMs / 2,
  };
}

async function readPersistence(redis: Redis, info: ReadonlyMap<string, string>): Promise<"none" | "snapshots" | "log"> {
  if (info.get("aof_enabled") === "1") return "log";
  // A managed Redis may not allow CONFIG; INFO does not tell whether snapshots are on.
  const saves = await redis.config("GET", "save").catch(() => null);
  const value = Array.isArray(saves) ? String(saves[1] ?? "") : "";
  return value === "" ? "none" : "snapshots";
}

function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(":");
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
    }),
  );
}
