// Bundles a public package: its own code and that of the private packages which it uses, with source maps and declarations.
// What comes from npm stays outside, and so do other public packages.
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type OutputChunk, type Plugin, rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";

const root = join(import.meta.dirname, "..");
const SCOPE = "@penstock/";

type Exports = Readonly<Record<string, Readonly<Record<"@penstock/source" | "types" | "default", string>>>>;

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: true;
  readonly exports: Exports;
  readonly imports?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A package of this workspace. */
export interface Member {
  readonly manifest: Manifest;
  readonly folder: string;
}

/** All packages of the workspace by name. */
export function readMembers(): ReadonlyMap<string, Member> {
  const manifests = globSync("{apps,packages,packages/handlers}/*/package.json", { cwd: root }).toSorted();
  return new Map(
    manifests.map((file) => {
      const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest;
      return [manifest.name, { manifest, folder: join(root, file, "..") }];
    }),
  );
}

/** What a bundle is made of, and what it needs besides. */
export interface Bundle {
  /** The packages whose code is in it, its own among them. */
  readonly members: readonly Member[];
  /** The packages that it imports, by name. */
  readonly imported: ReadonlySet<string>;
}

/** Bundles a package into a folder. What it was compiled to has to be up to date: its declarations are made of that. */
export async function bundle(members: ReadonlyMap<string, Member>, name: string, into: string): Promise<Bundle> {
  const used = new Set<Member>();
  const find = (specifier: string): { readonly member: Member; readonly path: string } => {
    const [scope, folder, ...rest] = specifier.split("/");
    const member = members.get(`${scope}/${folder}`);
    if (member === undefined) throw new Error(`${name} imports ${specifier}, which is no package of this workspace`);
    return { member, path: [".", ...rest].join("/") };
  };
  /** Takes imports of private packages in, by this condition of their exports. */
  const takeIn = (condition: keyof Exports[string]): Plugin => ({
    name: "private packages",
    resolveId(id) {
      if (!id.startsWith(SCOPE)) return null;
      const { member, path } = find(id);
      if (!member.manifest.private && member.manifest.name !== name) return { id, external: true };
      used.add(member);
      const file = member.manifest.exports[path]?.[condition];
      if (file === undefined) throw new Error(`${name} imports ${id}, which ${member.manifest.name} does not export`);
      return join(member.folder, file);
    },
  });
  const external = (id: string): boolean => !/^[./]/.test(id) && !id.startsWith(SCOPE);
  const own = find(name).member;
  used.add(own);

  const exported = Object.entries(own.manifest.exports).map(([path, { default: file }]) => [
    nameOf(file),
    join(name, path),
  ]);
  const programs = Object.entries(own.manifest.imports ?? {}).map(([key, id]) => ({
    [key.slice(1)]: id,
    ...threadsOf(find(id).member),
  }));
  const written: OutputChunk[] = [];
  // Each program by itself: what two share could come to lie in one of them, and whatever imports it would run that one.
  for (const input of [Object.fromEntries(exported) as Record<string, string>, ...programs]) {
    const code = await rolldown({
      cwd: root,
      input,
      platform: "node",
      external,
      // A module of which nothing is used is left out, unless it is a program.
      treeshake: { moduleSideEffects: (id) => /\/(?:main|global-setup|[a-z]+-thread)\.ts$/.test(id) },
      plugins: [takeIn("@penstock/source")],
    });
    const { output } = await code.write({
      dir: into,
      format: "es",
      // In one folder: what finds a file by import.meta.url finds it from each.
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      sourcemap: true,
      // As in this repository, wherever that lies.
      sourcemapPathTransform: (source, map) => join("..", relative(root, resolve(dirname(map), source))),
    });
    written.push(...output.filter((file) => file.type === "chunk"));
  }
  const types = await rolldown({
    cwd: root,
    input: Object.fromEntries(exported) as Record<string, string>,
    platform: "node",
    external,
    plugins: [takeIn("types"), dts({ dtsOnly: true, tsconfig: false, generator: "oxc" })],
  });
  const declared = await types.write({
    entryFileNames: "[name].d.ts",
    chunkFileNames: "[name]-[hash].d.ts",
    dir: into,
    format: "es",
  });
  const chunks = [...written, ...declared.output.filter((file) => file.type === "chunk")];
  for (const { code } of chunks) {
    const [, id] = /import\.meta\.resolve\("(@penstock\/[^"]+)"\)/.exec(code) ?? [];
    // A private package is not there once this one is published.
    if (id !== undefined && find(id).member.manifest.private)
      throw new Error(`${name} resolves ${id}: give it a name in "imports"`);
  }
  const files = new Set<string>(chunks.map(({ fileName }) => fileName));
  const imported = chunks
    .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
    .filter((id) => !files.has(id) && !isBuiltin(id))
    .map((id) => id.split("/", id.startsWith("@") ? 2 : 1).join("/"));
  return { members: [...used], imported: new Set(imported) };
}

const nameOf = (file: string): string => basename(file, ".js");

/** Threads are started by the name of their file, so no import leads to them: those of a program, by name. */
function threadsOf({ folder }: Member): Record<string, string> {
  const files = globSync(join(folder, "src/**/*-thread.ts"));
  return Object.fromEntries(files.map((file) => [basename(file, ".ts"), file]));
}
