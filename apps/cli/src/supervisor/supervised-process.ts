import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { createBackoff } from "./backoff.ts";
import { splitLines } from "./split-lines.ts";

/** What to run, and who hears of it. */
export interface SupervisedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears each line that it prints. */
  readonly onLine: (line: string, stream: Readable, from: "stdout" | "stderr") => void;
  /** Hears of each process that is started: its id, or undefined where there is none. */
  readonly onStart: (pid: number | undefined) => void;
  /** Hears of each end that was not asked for, once it is kept alive. */
  readonly onRestart: (how: string, inMs: number) => void;
}

/**
 * A child process that is kept alive.
 *
 * - *starting*: from the start on. When it ends now, it stays so, and `ended` says how: what cannot even start would
 *   only fail again and again.
 * - *kept alive*: from `keepAlive` on. When it ends, it *waits* (see createBackoff) and is started again.
 * - *stopping*, then *stopped*: from `stop` on; whatever it was doing before.
 */
export interface SupervisedProcess {
  /** Resolves when it ends while starting, with how. */
  readonly ended: Promise<string>;
  keepAlive(): void;
  /** SIGTERM, and SIGKILL for it and all that it started when it has not ended after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /** SIGKILL for it and all that it started, without waiting. */
  kill(): void;
}

/** Starts a process with PENSTOCK_SUPERVISED=1 and a standard input whose end tells it that its supervisor is gone. */
export function superviseProcess(options: SupervisedProcessOptions): SupervisedProcess {
  const backoff = createBackoff();
  const ended = Promise.withResolvers<string>();
  const stopped = Promise.withResolvers<void>();
  let state: "starting" | "kept alive" | "stopping" = "starting";
  let child: ChildProcess | null = null;
  let lastEnd: { how: string; livedMs: number } | null = null;
  let restart: NodeJS.Timeout | undefined;

  function start(): void {
    const startedAt = performance.now();
    const started = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...options.env, PENSTOCK_SUPERVISED: "1" },
      // A process group of its own: Ctrl-C in the terminal must reach the supervisor only, which stops in order.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    child = started;
    // A child that ends while something is written to it would otherwise end this process.
    started.stdin.on("error", () => undefined);
    splitLines(started.stdout, (line) => options.onLine(line, started.stdout, "stdout"));
    splitLines(started.stderr, (line) => options.onLine(line, started.stderr, "stderr"));
    const onEnd = (how: string) => {
      if (child !== started) return;
      child = null;
      lastEnd = { how, livedMs: performance.now() - startedAt };
      if (state === "starting") ended.resolve(how);
      else if (state === "kept alive") startAgain(lastEnd);
      else stopped.resolve();
    };
    started.once("error", (error) => onEnd(`could not be started: ${error.message}`));
    started.once("exit", (code, signal) => onEnd(signal === null ? `exit code ${code}` : signal));
    options.onStart(started.pid);
  }

  function startAgain({ how, livedMs }: { how: string; livedMs: number }): void {
    const waitMs = backoff.afterLifeOf(livedMs);
    options.onRestart(how, waitMs);
    restart = setTimeout(start, waitMs);
  }

  function kill(): void {
    if (child?.pid === undefined) return;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      child.kill("SIGKILL");
    }
  }

  start();
  return {
    ended: ended.promise,
    keepAlive() {
      if (state !== "starting") return;
      state = "kept alive";
      if (lastEnd !== null) startAgain(lastEnd);
    },
    async stop(graceMs) {
      state = "stopping";
      clearTimeout(restart);
      if (child === null) return;
      child.kill("SIGTERM");
      const force = setTimeout(kill, graceMs);
      await stopped.promise;
      clearTimeout(force);
    },
    kill,
  };
}
