#!/usr/bin/env node
// Runs one of this repository's programs on the pinned Node, after installing what the lockfile asks for:
//
//   node tools/run.mjs <program> [arguments…]
//
// Needs Node 20 with its npm and nothing else. Standard output belongs to the program alone (`--json` is piped into
// other tools), so whatever is said here goes to standard error.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const windows = process.platform === "win32";
const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const nodeFolder = join(modules, "node", "bin");
const pinnedNode = join(nodeFolder, windows ? "node.exe" : "node");
const stamp = join(modules, ".penstock-installed"); // holds the hash of what is installed, or "installing"
const lock = join(modules, ".penstock-installing"); // holds the ids of the processes that install

/** What each program is: a file of ours, or the package (and the name of its command) that brings it. */
const programs = {
  penstock: { file: "apps/cli/src/main.ts" },
  bench: { file: "packages/bench/src/main.ts" },
  chaos: { file: "packages/chaos/src/main.ts" },
  check: { file: "tools/check.ts" },
  screenshots: { file: "tests/browser/screenshots.ts" },
  pack: { file: "tools/pack.ts" },
  "test-twice": { file: "tools/test-twice.ts" },
  vitest: { package: "vitest" },
  prettier: { package: "prettier" },
  tsc: { package: "typescript" },
  oxlint: { package: "oxlint" },
  knip: { package: "knip" },
  depcruise: { package: "dependency-cruiser" },
};

const say = (line) => process.stderr.write(`${line}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));

/** A hash of every file that decides what `node_modules` should hold. */
function wanted() {
  const workspace = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8");
  const folders = [...workspace.matchAll(/^ {2}- (\S+)\/\*$/gm)].flatMap(([, parent]) =>
    readdirSync(join(root, parent))
      .sort()
      .map((name) => join(parent, name)),
  );
  const hash = createHash("sha256")
    .update(workspace)
    .update(readFileSync(join(root, "pnpm-lock.yaml")));
  for (const folder of [".", ...folders]) {
    const manifest = join(root, folder, "package.json");
    if (existsSync(manifest)) hash.update(folder).update(readFileSync(manifest));
  }
  return hash.digest("hex");
}

const installed = () => existsSync(stamp) && existsSync(pinnedNode) && readFileSync(stamp, "utf8") === wanted();

/** True while any process of the lock's holder lives: this program or, after a kill -9 of it, the pnpm it started. */
function isAlive(holder) {
  return holder.split(" ").some((id) => {
    try {
      return process.kill(Number(id), 0);
    } catch (error) {
      return error.code === "EPERM";
    }
  });
}

function takeLock() {
  mkdirSync(modules, { recursive: true });
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Installs if need be, one process at a time; the others wait and go on with what it installed. */
async function ensureInstalled() {
  for (let waiting = false; !installed();) {
    if (takeLock()) {
      if (!installed()) return install();
      rmSync(lock, { force: true }); // another process has finished between the question and the lock
      return;
    }
    const holder = existsSync(lock) ? readFileSync(lock, "utf8") : "";
    if (holder !== "" && !isAlive(holder)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!waiting) say(`Waiting for the installation by process ${holder} (if there is none, remove ${lock})…`);
    waiting = true;
    await pause(200);
  }
}

async function install() {
  const pnpm = readJson(join(root, "package.json")).packageManager;
  const command = `npx --yes ${pnpm} install --frozen-lockfile`;
  const before = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  // What an installation that was killed has left is not to be trusted, down to half-unpacked programs.
  if (before === "installing") clear();
  say(existsSync(pinnedNode) ? "Updating dependencies…" : "Installing dependencies (first run, about a minute)…");
  const target = wanted();
  writeFileSync(stamp, "installing");
  // A process group of its own: npx does not reliably pass on signals, so they are sent to all of the group.
  const child = spawn(command, {
    cwd: root,
    shell: true,
    detached: !windows,
    stdio: ["ignore", "pipe", "pipe"],
    // CI: never ask. loglevel: `npm run --silent` would hand its silence down and hide what went wrong.
    env: { ...process.env, CI: "true", npm_config_loglevel: "error" },
  });
  const group = windows ? child.pid : -child.pid;
  writeFileSync(lock, `${process.pid} ${group}`);
  const output = [];
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stderr.on("data", (chunk) => output.push(chunk));
  const { code, signal, received } = await ended(child, (name) => process.kill(group, name));
  const done = code === 0 && !received && existsSync(pinnedNode);
  if (done) writeFileSync(stamp, target);
  else if (code > 0) rmSync(stamp, { force: true }); // refused in an orderly way: what is there can stay
  rmSync(lock, { force: true });
  if (received) return endBy(received);
  if (!done) {
    process.stderr.write(Buffer.concat(output));
    say(`\nInstalling failed (${signal ?? `exit code ${code}`}). The command was: ${command}`);
    say(`After a change to a package.json, bring the lockfile up to date: npx --yes ${pnpm} install`);
    process.exit(1);
  }
}

function clear() {
  for (const name of readdirSync(modules)) {
    if (join(modules, name) !== lock) rmSync(join(modules, name), { recursive: true, force: true });
  }
}

/** Waits for a child; while it runs, signals to this process go to `forward` and do not end this process. */
function ended(child, forward) {
  return new Promise((resolve, reject) => {
    let received;
    const pass = (name) => {
      const again = received === name;
      received = name;
      try {
        if (!again) forward(name);
      } catch {
        // It has ended already.
      }
    };
    const names = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const name of names) process.on(name, pass);
    // A signal to npm ends the shell that npm put in between (dash), and without this the child would live on alone.
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.env.npm_command && process.ppid !== parent && !received) pass("SIGTERM");
    }, 250);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearInterval(watch);
      for (const name of names) process.off(name, pass);
      resolve({ code, signal, received });
    });
  });
}

/** Ends this process as a signal would have, so that callers see the same cause. */
function endBy(signal) {
  process.kill(process.pid, signal);
  return new Promise(() => setTimeout(() => process.exit(128 + constants.signals[signal]), 1000)); // if it is ignored
}

function run(name, args) {
  const program = programs[name];
  let file = program.file;
  if (!file) {
    const { bin } = readJson(join(modules, program.package, "package.json"));
    file = join(modules, program.package, typeof bin === "string" ? bin : bin[name]);
  }
  process.env.PATH = [nodeFolder, join(modules, ".bin"), process.env.PATH].join(delimiter);
  // What Node has made of our TypeScript and of dependencies is kept: a command then starts in two thirds of the time.
  process.env.NODE_COMPILE_CACHE ??= join(modules, ".cache", "node-compile");
  const child = spawn(pinnedNode, ["--conditions=@penstock/source", file, ...args], {
    cwd: root,
    stdio: "inherit",
  });
  // Ctrl-C in a terminal reaches the child by itself, and a second one would mean "at once, please".
  const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  return ended(child, (signal) => (signal === "SIGINT" && terminal) || child.kill(signal));
}

async function main([name, ...args]) {
  if (Number.parseInt(process.versions.node, 10) < 20) {
    say(`Penstock needs Node 20 or later to start from; this is Node ${process.versions.node}.`);
    process.exit(1);
  }
  if (!Object.hasOwn(programs, name ?? "")) {
    say(`Usage: node tools/run.mjs <program> [arguments…]\nPrograms: ${Object.keys(programs).join(", ")}`);
    process.exit(2);
  }
  await ensureInstalled();
  const { code, signal } = await run(name, args);
  if (signal) await endBy(signal);
  else process.exitCode = code;
}

await main(process.argv.slice(2));
