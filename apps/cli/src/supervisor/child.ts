import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Environment, LOG_LEVELS, type LogLevel } from "@penstock/schemas";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { formatDuration } from "../output/duration.ts";
import { openLogFile } from "./log-file.ts";
import { superviseProcess } from "./supervised-process.ts";
import type { TerminalLog } from "./terminal-log.ts";

/** One of our own services, run by the supervisor. */
export interface Child {
  /** Resolves when it has logged its `<name> ready`, with the port of its metrics. */
  readonly ready: Promise<number>;
  /** Rejects when it ends before `keepAlive`. */
  readonly failed: Promise<never>;
  keepAlive(): void;
  stop(graceMs: number): Promise<void>;
  kill(): void;
}

/** What a service is started with. */
export interface ChildOptions {
  readonly name: "ingest" | "worker" | "console";
  /** Its working directory. */
  readonly root: string;
  readonly env: Environment;
  readonly logLevel: LogLevel;
  /** The folder of its log file. */
  readonly logs: string;
  readonly terminal: TerminalLog;
  readonly onStart: (pid: number | undefined) => void;
}

// By the names that package.json gives them: once published, they are bundled with this command.
const ENTRIES = {
  ingest: import.meta.resolve("#ingest"),
  worker: import.meta.resolve("#worker"),
  console: import.meta.resolve("#console"),
};
/** Less resident memory: threads that allocate share two arenas. As in Dockerfile. */
const LEAN = { MALLOC_ARENA_MAX: "2" };
const LEVEL = /^\{"level":"([a-z]+)"/;
const WARN = LOG_LEVELS.indexOf("warn");

/**
 * Starts a service. Its log goes to a file as it is; warnings and what is worse are shown in the terminal too.
 */
export function startChild(ctx: CliContext, options: ChildOptions): Child {
  const { name, root, env, terminal } = options;
  const { say } = ctx.output;
  const ready = Promise.withResolvers<number>();
  const threshold = LOG_LEVELS.indexOf(options.logLevel);
  const log = openLogFile(join(options.logs, `${name}.log`), (error) => say(`${name}'s log is lost: ${error.message}`));

  const child = superviseProcess({
    command: ctx.node.execPath,
    args: [...ctx.node.args, fileURLToPath(ENTRIES[name])],
    cwd: root,
    // That it is ready is told at level info. What is quieter than that is done here.
    env: { ...LEAN, ...env, ...(threshold > LOG_LEVELS.indexOf("info") && { LOG_LEVEL: "info" }) },
    onLine(line, stream, from) {
      const level = LEVEL.exec(line)?.[1];
      if (level === undefined) {
        log.write(line, stream);
        if (from === "stderr") terminal.writePlain(name, line);
        return;
      }
      const rank = LOG_LEVELS.indexOf(level as LogLevel);
      if (rank >= threshold) log.write(line, stream);
      if (rank >= Math.max(threshold, WARN)) terminal.write(line);
      if (line.includes(`"msg":"${name} ready"`)) {
        ready.resolve((JSON.parse(line) as { internalPort: number }).internalPort);
      }
    },
    onStart: options.onStart,
    onRestart: (how, inMs) =>
      say(`${name} ended (${how}), starting it again in ${formatDuration(inMs)}; its log: ${log.path}`),
  });

  const failed = child.ended.then((how) => {
    throw new CliError(`${name} ended before it was ready (${how}). Its log: ${log.path}`);
  });
  failed.catch(() => undefined); // of two that fail, one is told
  return {
    ready: ready.promise,
    failed,
    keepAlive: child.keepAlive,
    kill: child.kill,
    async stop(graceMs) {
      await child.stop(graceMs);
      await log.close();
    },
  };
}
