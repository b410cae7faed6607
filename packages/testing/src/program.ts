import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the repository: where programs run, and find penstock.sources.ts. */
export const ROOT = join(import.meta.dirname, "../../..");

/** A program to run. */
export interface ProgramSpec {
  /** What it is in reports: `ingest`, `worker`, … */
  readonly role: string;
  /** A path or a `file:` URL. */
  readonly file: string;
  readonly args?: readonly string[];
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What the line contains that says it is ready; `ready` unless given. */
  readonly ready?: string;
  /** Hears all that it prints. */
  readonly onOutput?: (text: string) => void;
}

/** A running program: a Node process of its own. */
export interface Program {
  readonly role: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>;
  /** Ends it in order, and by force after 20 s. */
  stop(): Promise<void>;
}

const running = new Set<Program>();

/** Where profiles of all programs go that are started; null: none are made. */
export const profiling: { folder: string | null } = { folder: null };

/**
 * Starts a program as the supervisor of `npm start` does: this Node, from source. Resolves once it says that it is ready.
 *
 * @throws with what it printed when it ends before that
 */
export async function startProgram(spec: ProgramSpec): Promise<Program> {
  const file = spec.file.startsWith("file:") ? fileURLToPath(spec.file) : spec.file;
  const profile = profiling.folder === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiling.folder}/${spec.role}`];
  const options = ["--conditions=@penstock/source", ...profile, ...(spec.nodeArgs ?? [])];
  const child = spawn(process.execPath, [...options, file, ...(spec.args ?? [])], {
    cwd: ROOT,
    env: { ...inherited(), NODE_ENV: "production", ...spec.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let printed = "";
  const ended = new Promise<number | null>((resolve) =>
    child.once("close", resolve).once("error", () => resolve(null)),
  );
  const program: Program = {
    role: spec.role,
    pid: child.pid ?? 0,
    child,
    ended,
    async stop() {
      child.kill("SIGTERM");
      child.kill("SIGCONT"); // one that is held takes no other signal before this one
      const force = setTimeout(() => child.kill("SIGKILL"), 20_000);
      await ended;
      clearTimeout(force);
    },
  };
  running.add(program);
  void ended.then(() => running.delete(program));
  await new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      const text = chunk.toString();
      spec.onOutput?.(text);
      // The first lines tell that it is ready, the last ones why it ended.
      printed = (printed + text).slice(-20_000);
      if (printed.includes(spec.ready ?? "ready")) resolve();
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    void ended.then((code) => reject(new Error(`${spec.role} ended with ${code} before it was ready:\n${printed}`)));
  });
  return program;
}

/** Ends whatever still runs, at once. */
export async function killPrograms(): Promise<void> {
  await Promise.all(
    Array.from(running, ({ child, ended }) => {
      child.kill("SIGKILL");
      return ended;
    }),
  );
}

function inherited(): Record<string, string> {
  const names = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "NODE_COMPILE_CACHE"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
