// Packs every public package, as it would be published, into a folder: node tools/run.mjs pack <folder>. Private packages are
// bundled into the public ones that use them; what they were compiled to is brought up to date before. Prints the files.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { bundle, type Bundle, type Manifest, type Member, readMembers } from "./bundle.ts";

const root = join(import.meta.dirname, "..");

/** The versions of what comes from npm, as pnpm-workspace.yaml pins them. */
const catalog = new Map(
  Array.from(
    readFileSync(join(root, "pnpm-workspace.yaml"), "utf8").matchAll(/^ {2}"?([^\s":]+)"?: (\d\S+)$/gm),
    ([, name = "", version = ""]) => [name, version] as const,
  ),
);

/** Packs them, and returns the path of each one's file by its name. */
export async function packAll(into: string): Promise<Record<string, string>> {
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  const run = (file: string, ...args: string[]): void =>
    void execFileSync(file, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  run(process.execPath, "tools/run.mjs", "tsc", "-b");
  run(process.execPath, "--conditions=@penstock/source", "apps/console/build-web.ts");
  const members = readMembers();
  const packed: Record<string, string> = {};
  for (const { manifest, folder } of members.values()) {
    const { name, version } = manifest;
    if (manifest.private) continue;
    const stage = mkdtempSync(join(tmpdir(), "penstock-pack-"));
    try {
      const made = await bundle(members, name, join(stage, "dist"));
      if (made.members.some((member) => member.manifest.name === "@penstock/console")) {
        cpSync(join(root, "apps/console/dist/web"), join(stage, "dist/web"), { recursive: true });
      }
      writeFileSync(join(stage, "package.json"), `${JSON.stringify(publish(members, manifest, made), null, 2)}\n`);
      copyFileSync(join(root, "LICENSE"), join(stage, "LICENSE"));
      if (existsSync(join(folder, "README.md"))) copyFileSync(join(folder, "README.md"), join(stage, "README.md"));
      run("npm", "pack", stage, "--silent", "--pack-destination", resolve(into));
    } finally {
      rmSync(stage, { recursive: true, force: true });
    }
    packed[name] = join(into, `${name.slice(1).replace("/", "-")}-${version}.tgz`);
  }
  return packed;
}

/** The manifest that is published: the conditions and dependencies of this workspace are gone from it. */
function publish(
  members: ReadonlyMap<string, Member>,
  manifest: Manifest,
  { members: used, imported }: Bundle,
): object {
  const {
    devDependencies: _,
    dependencies: __,
    exports,
    imports,
    ...rest
  } = manifest as Manifest & {
    readonly devDependencies?: unknown;
  };
  const needed = [...imported].filter((name) => !(name in (manifest.peerDependencies ?? {}))).toSorted();
  const optional = used.flatMap((member) =>
    Object.keys(member.manifest.optionalDependencies ?? {}).map(
      (name) => [name, versionOf(members, used, name)] as const,
    ),
  );
  return {
    ...rest,
    exports: Object.fromEntries(
      Object.entries(exports).map(([path, { types, default: file }]) => [path, { types, default: file }]),
    ),
    ...(imports && {
      imports: Object.fromEntries(Object.keys(imports).map((name) => [name, `./dist/${name.slice(1)}.js`])),
    }),
    dependencies: Object.fromEntries(needed.map((name) => [name, versionOf(members, used, name)])),
    ...(optional.length > 0 && { optionalDependencies: Object.fromEntries(optional) }),
  };
}

/** The version of a package that these members were built with. */
function versionOf(members: ReadonlyMap<string, Member>, used: readonly Member[], name: string): string {
  const isDeclared = used.some(
    ({ manifest }) => name in { ...manifest.dependencies, ...manifest.optionalDependencies },
  );
  const version = members.get(name)?.manifest.version ?? catalog.get(name);
  if (isDeclared && version !== undefined) return version;
  throw new Error(`${used[0]?.manifest.name} imports ${name}, which none of its packages depends on`);
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    console.error("Usage: node tools/run.mjs pack <folder>");
    process.exit(2);
  }
  for (const file of Object.values(await packAll(folder))) console.log(file);
}
