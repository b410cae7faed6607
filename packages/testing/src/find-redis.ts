import { answersDocker, wantsContainers } from "./docker.ts";
import { findOnPath } from "./find-on-path.ts";
import type { UnpackedProgram } from "./unpacked/cache-folder.ts";
import { unpackRedisFromApt } from "./unpacked/redis-from-apt.ts";

/** Where a Redis of our own comes from. */
export type RedisOrigin = { kind: "program"; program: UnpackedProgram } | { kind: "container" };

let found: Promise<RedisOrigin> | undefined;

/**
 * Finds a way to start a Redis: Docker where TEST_CONTAINERS is set; else redis-server or valkey-server on the PATH, else Docker where it answers, else the
 * distribution's package, unpacked into a cache directory without installing it (Debian, Ubuntu).
 *
 * Errors: one that says what to do when there is none.
 */
export function findRedis(): Promise<RedisOrigin> {
  found ??= look();
  return found;
}

async function look(): Promise<RedisOrigin> {
  if (await wantsContainers()) return { kind: "container" };
  for (const name of ["redis-server", "valkey-server"]) {
    const file = await findOnPath(name);
    if (file) return { kind: "program", program: { file, env: {} } };
  }
  if (await answersDocker()) return { kind: "container" };
  const reasons = ["no redis-server or valkey-server on the PATH", "no Docker that answers"];
  const unpacked = await unpackRedisFromApt();
  if (unpacked.ok) return { kind: "program", program: unpacked.program };
  throw new Error(
    `The tests need a Redis: ${[...reasons, unpacked.reason].join(", ")}. Set TEST_REDIS_URL to one, install redis-server, or start Docker.`,
  );
}
