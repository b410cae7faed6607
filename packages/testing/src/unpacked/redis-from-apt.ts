import { access } from "node:fs/promises";
import { join } from "node:path";
import { findLibraries, readAptSystem, unpackAptPackages } from "./apt-packages.ts";
import { type UnpackedProgram, unpackOnce, type UnpackOutcome } from "./cache-folder.ts";

const PACKAGES = [
  ["redis-server", "redis-tools"],
  ["valkey-server", "valkey-tools"],
] as const;

/** The distribution's Redis, unpacked into the cache folder without installing it. */
export async function unpackRedisFromApt(): Promise<UnpackOutcome> {
  const system = await readAptSystem();
  if (!system) return { ok: false, reason: "no Debian or Ubuntu whose packages could be used" };
  return unpackOnce({
    name: `redis-${system.codename}-${system.architecture}`,
    locate: locateServer,
    download: (work) => unpackAptPackages(work, PACKAGES),
  });
}

async function locateServer(folder: string): Promise<UnpackedProgram | null> {
  for (const [name] of PACKAGES) {
    const file = join(folder, "usr/bin", name);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return { file, env: { LD_LIBRARY_PATH: await findLibraries(folder) } };
  }
  return null;
}
