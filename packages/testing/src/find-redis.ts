import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { answersDocker, wantsContainers } from "./docker.ts";
import { unpackRedisFromApt } from "./redis-from-apt.ts";

/** A Redis or Valkey server program and the environment it needs. */
export interface RedisProgram {
  file: string;
  env: Record<string, string>;
}

/** Where a Redis of our own comes from. */
export type RedisOrigin = { kind: "program"; program: RedisProgram } | { kind: "container" };

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

/** The full path of a program on the PATH, or null. */
async function findOnPath(name: string): Promise<string | null> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(folder, name);
    const isThere =
      folder !== "" &&
      (await access(file, constants.X_OK)
        .then(() => true)
        .catch(() => false));
    if (isThere) return file;
  }
  return null;
}
