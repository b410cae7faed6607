import { spawn } from "node:child_process";
import { connect } from "node:net";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { eventually } from "./eventually.ts";
import { atFileEnd } from "./file-end.ts";

/** What to run. */
export interface ProcessOptions {
  /** The script, a path or a `file:` URL. */
  file: string | URL;
  args?: string[];
  /** All that the process sees of the environment besides PATH, HOME, TMPDIR, TZ, LANG, NODE_EXTRA_CA_CERTS and NODE_COMPILE_CACHE. */
  env?: Record<string, string>;
  /** Its working directory; that of the tests unless set. */
  cwd?: string;
  /** For error messages; the file's name unless set. */
  name?: string;
}

/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A Node process under test. */
export interface TestProcess {
  readonly pid: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** Resolves when it has ended and all its output is read; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /**
   * The match in the first line of either output that matches, also one from before the call. Errors: says what was printed
   * when it ends or the time is over before.
   */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Resolves when something accepts connections on this port of 127.0.0.1. Errors: as waitForLine. */
  waitForPort(port: number, timeoutMs?: number): Promise<void>;
  /** Sends it a signal, SIGKILL unless told; wait for `exited` if it is to be gone. */
  kill(signal?: NodeJS.Signals): void;
}

/**
 * Starts a script in a Node of its own, from source. At the end of the test file it is killed, with everything that it
 * started in its process group.
 */
export function startProcess({ file, args = [], env = {}, cwd, name }: ProcessOptions): TestProcess {
  const path = file instanceof URL || file.startsWith("file:") ? fileURLToPath(file) : file;
  const label = name ?? basename(path);
  const child = spawn(process.execPath, ["--conditions=@penstock/source", path, ...args], {
    // A group of its own, so that all of it can be ended, and Ctrl-C reaches the tests only.
    detached: true,
    env: { ...inheritedEnvironment(), ...env },
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stdout: string[] = [];
  const stderr: string[] = [];
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  for (const [stream, own] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    createInterface({ input: stream }).on("line", (line) => {
      own.push(line);
      lines.push(line);
      for (const listener of listeners) listener(line);
    });
  }
  let ended: ProcessExit | null = null;
  const exited = new Promise<ProcessExit>((resolve) => {
    child.on("error", (error) => stderr.push(error.message));
    child.on("close", (code, signal) => resolve((ended = { code, signal })));
  });
  const describe = (problem: string): Error =>
    new Error(`${label} ${problem}. Its last lines:\n${lines.slice(-20).join("\n")}`);

  atFileEnd(async () => {
    killGroup(child.pid);
    await exited;
  });
  return {
    pid: child.pid ?? 0,
    stdout,
    stderr,
    exited,
    waitForLine: (pattern, timeoutMs = 30_000) =>
      new Promise((resolve, reject) => {
        const look = (line: string): boolean => {
          const match = new RegExp(pattern.source, pattern.flags.replace("g", "")).exec(line);
          if (match) settle(() => resolve(match));
          return match !== null;
        };
        const timer = setTimeout(
          () => settle(() => reject(describe(`printed no line like ${pattern} within ${timeoutMs} ms`))),
          timeoutMs,
        );
        const settle = (act: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          act();
        };
        if (lines.some(look)) return;
        listeners.add(look);
        void exited.then(({ code, signal }) =>
          settle(() => reject(describe(`ended with ${signal ?? code} and printed no line like ${pattern}`))),
        );
      }),
    waitForPort: async (port, timeoutMs = 30_000) => {
      const accepts = (): Promise<boolean> => Promise.race([acceptsConnections(port), exited.then(() => true)]);
      const listening = await eventually(async () => (await accepts()) || Promise.reject(new Error("nobody listens")), {
        timeoutMs,
      }).catch(() => false);
      if (ended) throw describe(`ended with ${ended.signal ?? ended.code} and port ${port} was not opened`);
      if (!listening) throw describe(`did not listen on port ${port} within ${timeoutMs} ms`);
    },
    kill: (signal = "SIGKILL") => void child.kill(signal),
  };
}

function inheritedEnvironment(): Record<string, string> {
  const names = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "NODE_EXTRA_CA_CERTS", "NODE_COMPILE_CACHE"];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // All of it has ended.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
