import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CliContext } from "../cli-context.ts";

/** Changes a JSON file that has no comments. How it is wrapped is for a formatter to say. */
export async function changeJson<Content>(file: string, change: (content: Content) => void): Promise<void> {
  const content = JSON.parse(await readFile(file, "utf8")) as Content;
  change(content);
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
}

interface References {
  references: { path: string }[];
}

/** Adds a package to the references of a tsconfig, after those of its kind. */
export function addReference(path: string): (content: References) => void {
  return ({ references }) => {
    const kind = path.slice(0, path.lastIndexOf("/") + 1);
    const last = references.findLastIndex((reference) => reference.path.startsWith(kind));
    references.splice(last === -1 ? references.length : last + 1, 0, { path });
  };
}

/** Adds a dependency to a package.json, in the order of names. */
export function addDependency(name: string, version: string): (content: Manifest) => void {
  return (content) => {
    const all = { ...content.dependencies, [name]: version };
    content.dependencies = Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
}

interface Manifest {
  dependencies?: Record<string, string>;
  packageManager?: string;
}

/** Brings the lockfile up to date, by the pnpm that the root package.json names, and installs. What it printed when it failed. */
export async function installWorkspace(ctx: CliContext, root: string): Promise<string | null> {
  const { packageManager = "pnpm" } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;
  return runProgram(ctx, root, "npx", ["--yes", packageManager, "install", "--no-frozen-lockfile"]);
}

/** Runs a program to its end; null, or what it printed when it failed. */
export function runProgram(
  ctx: CliContext,
  cwd: string,
  file: string,
  args: readonly string[],
): Promise<string | null> {
  return new Promise((resolve) => {
    const env = { ...ctx.rawEnv, CI: "true" };
    const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], signal: ctx.stop });
    const printed: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => printed.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => printed.push(chunk));
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code) => resolve(code === 0 ? null : Buffer.concat(printed).toString().trim()));
  });
}
