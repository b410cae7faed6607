import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { lastLine } from "./cache-folder.ts";

const run = promisify(execFile);

/** Which distribution this is, e.g. `debian`, `bookworm` and `amd64`; null where its packages are not apt's. */
export async function readAptSystem(): Promise<{ id: string; codename: string; architecture: string } | null> {
  const [architecture, release] = await Promise.all([
    run("dpkg", ["--print-architecture"]).then(
      ({ stdout }) => stdout.trim(),
      () => "",
    ),
    readFile("/etc/os-release", "utf8").catch(() => ""),
  ]);
  const value = (key: string): string => new RegExp(`^${key}="?([\\w.-]+)`, "m").exec(release)?.[1] ?? "";
  const system = { id: value("ID"), codename: value("VERSION_CODENAME"), architecture };
  return architecture && system.codename ? system : null;
}

/**
 * Downloads packages and those of their dependencies that are not installed, and unpacks them into `work/root`; of
 * several choices the first that the distribution has. Installs nothing and needs no root. Gives what went wrong, or null.
 */
export async function unpackAptPackages(work: string, choices: readonly (readonly string[])[]): Promise<string | null> {
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
    for (const packages of choices) {
      try {
        // Prints what an installation would download: the packages and the dependencies that are not installed.
        const plan = ["install", "--print-uris", "-qq", "-y", "--no-install-recommends", "--reinstall", ...packages];
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
  return `apt did not give one (${[...new Set(problems)].join("; ") || "its lists do not name it"})`;
}

/** The value of LD_LIBRARY_PATH for programs in a folder that packages were unpacked into. */
export async function findLibraries(folder: string): Promise<string> {
  const libraries: string[] = [];
  for (const base of ["usr/lib", "lib"]) {
    for (const entry of await readdir(join(folder, base)).catch(() => [])) {
      if (!entry.includes("-linux-")) continue;
      const path = join(folder, base, entry);
      libraries.push(path);
      // Some libraries lie deeper and are found by an absolute path, which is not theirs here: libpulsecommon.
      const inside = await readdir(path, { withFileTypes: true });
      libraries.push(...inside.filter((each) => each.isDirectory()).map(({ name }) => join(path, name)));
    }
  }
  return libraries.join(":");
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
