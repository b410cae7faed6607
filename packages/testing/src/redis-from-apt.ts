import { withFileLock } from "@penstock/embedded-postgres";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RedisProgram } from "./find-redis.ts";

/** A server unpacked from the distribution's packages, or why there is none. */
export type AptOutcome = { ok: true; program: RedisProgram } | { ok: false; reason: string };

const PACKAGES = [
  ["redis-server", "redis-tools"],
  ["valkey-server", "valkey-tools"],
] as const;

const run = promisify(execFile);

/**
 * Downloads the distribution's Redis and the libraries it needs that are not installed, and unpacks them into a cache
 * directory; later calls use what is there. Installs nothing and needs no root. Safe to call from several processes.
 */
export async function unpackRedisFromApt(): Promise<AptOutcome> {
  const [architecture, codename] = await Promise.all([
    run("dpkg", ["--print-architecture"]).then(
      ({ stdout }) => stdout.trim(),
      () => null,
    ),
    readFile("/etc/os-release", "utf8").then(
      (text) => /^VERSION_CODENAME="?([\w.-]+)/m.exec(text)?.[1] ?? null,
      () => null,
    ),
  ]);
  if (!architecture || !codename) return { ok: false, reason: "no Debian or Ubuntu whose packages could be used" };
  const cache = await makeCacheFolder();
  const folder = join(cache, `redis-${codename}-${architecture}`);
  const ready = await findServer(folder);
  if (ready) return { ok: true, program: ready };
  const busy = `Another process has been unpacking Redis into ${folder} for 5 minutes.`;
  return withFileLock({ file: join(cache, "redis.lock"), waitMs: 300_000, busy }, async () => {
    const meanwhile = await findServer(folder);
    if (meanwhile) return { ok: true, program: meanwhile };
    const work = await mkdtemp(join(cache, "part-"));
    try {
      const problem = await download(work);
      if (problem) return { ok: false, reason: `apt did not give one (${problem})` };
      await rm(folder, { recursive: true, force: true });
      // Whole or not at all: what is there under the final name can be trusted.
      await rename(join(work, "root"), folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const program = await findServer(folder);
    return program ? { ok: true, program } : { ok: false, reason: `the server unpacked to ${folder} does not run` };
  });
}

/** Fills `work/root`; gives what went wrong, or null. */
async function download(work: string): Promise<string | null> {
  const problems: string[] = [];
  const root = join(work, "root");
  // With the machine's own lists first: they may be missing, or so old that what they name is gone from the mirror.
  for (const lists of [null, join(work, "lists")]) {
    const archives = join(work, `archives-${randomBytes(2).toString("hex")}`);
    await mkdir(join(archives, "partial"), { recursive: true });
    const options = aptOptions(lists, work, archives);
    if (lists) {
      await mkdir(join(lists, "partial"), { recursive: true });
      // One source out of several that does not answer is no reason to give up.
      await run("apt-get", [...options, "update"]).catch((error: unknown) => problems.push(lastLine(error)));
    }
    for (const [server, tools] of PACKAGES) {
      try {
        // Prints what an installation would download: the packages and the dependencies that are not installed.
        const plan = ["install", "--print-uris", "-qq", "-y", "--no-install-recommends", "--reinstall", server, tools];
        const { stdout } = await run("apt-get", [...options, ...plan]);
        const names = [...stdout.matchAll(/^'[^']*' ([^_\s]+)_/gm)].flatMap(([, name]) => name ?? []);
        if (names.length === 0) continue;
        await run("apt-get", [...options, "download", "-qq", ...names], { cwd: archives });
        for (const file of await readdir(archives)) {
          if (file.endsWith(".deb")) await run("dpkg", ["-x", join(archives, file), root]);
        }
        return null;
      } catch (error) {
        problems.push(lastLine(error));
      }
    }
  }
  return [...new Set(problems)].join("; ") || "its lists name no Redis";
}

function aptOptions(lists: string | null, work: string, archives: string): string[] {
  const settings = {
    // What is in the machine's archive already would be left out of the plan.
    "Dir::Cache::archives": archives,
    // Made for other lists, and not ours to write.
    "Dir::Cache::pkgcache": join(work, "pkgcache.bin"),
    "Dir::Cache::srcpkgcache": join(work, "srcpkgcache.bin"),
    // As root, apt downloads as a user that may not reach the cache directory.
    "APT::Sandbox::User": "root",
    "Acquire::Retries": "2",
    "Acquire::http::Timeout": "20",
    "Acquire::https::Timeout": "20",
    "Acquire::Languages": "none",
    ...(lists ? { "Dir::State::Lists": lists } : {}),
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** The server in an unpacked folder, if there is one that runs on this machine. */
async function findServer(folder: string): Promise<RedisProgram | null> {
  for (const [name] of PACKAGES) {
    const file = join(folder, "usr/bin", name);
    const libraries: string[] = [];
    for (const base of ["usr/lib", "lib"]) {
      for (const entry of await readdir(join(folder, base)).catch(() => [])) {
        if (entry.includes("-linux-")) libraries.push(join(folder, base, entry));
      }
    }
    const env = { LD_LIBRARY_PATH: libraries.join(":") };
    // Tried, since a cache that several machines share may lack a library that was installed where it was made.
    const runs = await run(file, ["--version"], { env }).then(
      () => true,
      () => false,
    );
    if (runs) return { file, env };
  }
  return null;
}

async function makeCacheFolder(): Promise<string> {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const folder = join(base, "penstock");
  try {
    await mkdir(folder, { recursive: true });
    return folder;
  } catch {
    // A user without a home, like nobody.
    const own = join(tmpdir(), `penstock-cache-${process.getuid?.() ?? "user"}`);
    await mkdir(own, { recursive: true, mode: 0o700 });
    return own;
  }
}

/** What a program that failed said last. */
function lastLine(error: unknown): string {
  const { stderr, message } = error as Error & { stderr?: string };
  return (stderr || message).trim().split("\n").at(-1) ?? message;
}
