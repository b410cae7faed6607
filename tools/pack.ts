// Packs every public package, as it would be published, into a folder: node tools/run.mjs pack <folder>. What they were
// compiled to is brought up to date before. Prints the files.
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");

interface Manifest {
  name: string;
  version: string;
  private?: boolean;
  packageManager?: string;
}

const read = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as Manifest;

/** Packs them, and returns the path of each one's file by its name. */
export function packAll(into: string): Record<string, string> {
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  const run = (file: string, ...args: string[]): void =>
    void execFileSync(file, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  run(process.execPath, "tools/run.mjs", "tsc", "-b");
  const publics = globSync("{apps,packages,packages/handlers}/*/package.json", { cwd: root })
    .map((file) => read(join(file, "..")))
    .filter((manifest) => !manifest.private)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const filters = publics.flatMap(({ name }) => ["--filter", name]);
  run(
    "npx",
    "--yes",
    read(".").packageManager ?? "pnpm",
    "-r",
    ...filters,
    "pack",
    "--pack-destination",
    resolve(into),
  );
  return Object.fromEntries(
    publics.map(({ name, version }) => [name, join(into, `${name.slice(1).replace("/", "-")}-${version}.tgz`)]),
  );
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    console.error("Usage: node tools/run.mjs pack <folder>");
    process.exit(2);
  }
  for (const file of Object.values(packAll(folder))) console.log(file);
}
