import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { removeEmbeddedPostgres } from "@penstock/embedded-postgres";
import { withSecretFiles } from "@penstock/schemas";
import { startProcess, type TestProcess } from "@penstock/testing";
import { createOutput } from "../src/output/output.ts";
import { createProgram, runProgram } from "../src/program.ts";

const MAIN = new URL("../src/main.ts", import.meta.url);
const { version: VERSION } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const CONFIG = fileURLToPath(new URL("fixtures/penstock.config.ts", import.meta.url));

/** What a command printed and how it ended. */
export interface Outcome {
  code: number | null;
  stdout: readonly string[];
  stderr: readonly string[];
}

/** A command that runs in this process; what it has printed so far. */
export interface Begun {
  readonly stdout: () => readonly string[];
  readonly stderr: () => readonly string[];
  readonly ended: Promise<Outcome>;
  /** As the first Ctrl-C does. */
  stop(): Promise<Outcome>;
}

/** The penstock command with a home of its own, as a user of a project would run it. */
export interface Penstock {
  readonly home: string;
  /** A file with exactly these bytes, in the home; its path. */
  file(bytes: string | Uint8Array): Promise<string>;
  /**
   * Runs a command to its end in this process, as main.ts would: seconds are saved for each. It sees files that are loaded
   * as they were the first time.
   */
  call(args: string[], env?: Record<string, string>): Promise<Outcome>;
  /** Begins a command that stays, in this process. */
  begin(args: string[], env?: Record<string, string>): Begun;
  /** Runs a command to its end as a process. */
  run(args: string[], env?: Record<string, string>): Promise<Outcome>;
  /** Starts a command that stays. */
  open(args: string[], env?: Record<string, string>): TestProcess;
  /** `penstock start` on a free port, once it is ready. */
  start(env?: Record<string, string>): Promise<TestProcess>;
  /** Ends what still runs and removes the home. */
  remove(): Promise<void>;
}

/** `cwd` is where the project is; that of this repository unless given. */
export async function createPenstock(common: Record<string, string> = {}, cwd?: string): Promise<Penstock> {
  const parent = await mkdtemp(join(tmpdir(), "penstock-cli-"));
  await chmod(parent, 0o755); // as root, Postgres runs as another user inside it
  const home = join(parent, ".penstock");
  const opened: TestProcess[] = [];

  const ours = { PENSTOCK_HOME: home, PENSTOCK_CONFIG: CONFIG, INGEST_PORT: "0", CONSOLE_PORT: "0", ...common };
  const open: Penstock["open"] = (args, env = {}) => {
    const process = startProcess({
      file: MAIN,
      args,
      ...(cwd !== undefined && { cwd }),
      env: { ...ours, ...env },
      name: `penstock ${args.join(" ")}`,
    });
    opened.push(process);
    return process;
  };
  const begin: Penstock["begin"] = (args, env = {}) => {
    const [stdout, stderr] = [new Lines(), new Lines()];
    const stop = new AbortController();
    const ctx = {
      version: VERSION,
      penstock: "npm run penstock --",
      env: withSecretFiles({ ...process.env, ...ours, ...env }),
      rawEnv: { ...process.env, ...ours, ...env },
      cwd: cwd ?? process.cwd(),
      typedIn: cwd ?? process.cwd(),
      given: {},
      output: createOutput(stdout, stderr),
      actor: env["PENSTOCK_ACTOR"] ?? "cli:tester@test",
      stop: stop.signal,
      stopNow: new AbortController().signal,
      node: { execPath: process.execPath, args: process.execArgv },
    };
    const program = createProgram(ctx);
    const ended = runProgram(program, args, ctx).then((code) => ({ code, stdout: stdout.lines, stderr: stderr.lines }));
    return {
      stdout: () => stdout.lines,
      stderr: () => stderr.lines,
      ended,
      stop: () => {
        stop.abort();
        return ended;
      },
    };
  };
  return {
    home,
    open,
    async file(bytes) {
      const path = join(home, `file-${Math.random()}`);
      await writeFile(path, bytes);
      return path;
    },
    call: (args, env) => begin(args, env).ended,
    begin,
    async run(args, env) {
      const { exited, stdout, stderr } = open(args, env);
      return { code: (await exited).code, stdout, stderr };
    },
    async start(env) {
      const process = open(["start"], env);
      await process.waitForLine(/is ready/, 60_000);
      await process.waitForLine(/Ctrl-C/);
      return process;
    },
    async remove() {
      for (const process of opened) {
        process.kill();
        await process.exited;
      }
      await removeEmbeddedPostgres(home);
      await rm(parent, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A stream that keeps what is written to it, line by line. */
class Lines extends Writable {
  #text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#text += chunk.toString();
    done();
  }

  get lines(): string[] {
    return this.#text === "" ? [] : this.#text.replace(/\n$/, "").split("\n");
  }
}

/** Lines that must each be one JSON object. */
export function parseLines(lines: readonly string[]): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
