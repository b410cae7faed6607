import { spawn } from "node:child_process";
import { open, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account } from "./account.ts";
import { askServer } from "./ask-server.ts";
import type { Binaries } from "./binaries.ts";
import { StartFailedError } from "./errors.ts";
import { findPostmaster, isRunning, signalServer } from "./postmaster.ts";
import { programOptions } from "./run-program.ts";

/** What a server is started with. */
export interface LaunchOptions {
  binaries: Binaries;
  dataDir: string;
  account: Account | null;
  port: number;
  settings: Record<string, string>;
  log: string;
}

/** How a launch went: it runs, or one of the two things happened that another try can mend. */
export type LaunchOutcome = { ok: true; pid: number } | { ok: false; reason: "port-taken" | "memory-in-use" };

const SILENT_LIMIT_MS = 30_000;
const RECOVERY_LIMIT_MS = 600_000;
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Starts a server in a session of its own, so that neither Ctrl-C nor the end of this process ends it, and waits until it
 * accepts logins.
 *
 * Errors: START_FAILED with the last lines of the log.
 */
export async function launch(options: LaunchOptions): Promise<LaunchOutcome> {
  const { binaries, dataDir, account, port, settings, log } = options;
  if (((await stat(log).catch(() => null))?.size ?? 0) > LOG_LIMIT_BYTES) await rename(log, `${log}.old`);
  const file = await open(log, "a+", 0o600);
  try {
    const logStart = (await file.stat()).size;
    const all = {
      listen_addresses: "127.0.0.1",
      // A socket's path may be longer than the kernel allows, and nothing of ours uses one.
      unix_socket_directories: "",
      shared_buffers: "128MB",
      max_connections: "100",
      timezone: "UTC",
      log_timezone: "UTC",
      ...settings,
      port: String(port),
    };
    const child = spawn(
      join(binaries.root, "bin", "postgres"),
      ["-D", dataDir, ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      { ...programOptions(account), detached: true, stdio: ["ignore", file.fd, file.fd] },
    );
    const readLog = async (): Promise<string> => {
      const { size } = await file.stat();
      const length = Math.min(size - logStart, 65_536);
      return (await file.read(Buffer.alloc(length), 0, length, size - length)).buffer.toString("utf8");
    };
    const { pid } = child;
    if (pid === undefined) {
      const cause = await new Promise<Error>((resolve) => child.once("error", resolve));
      throw new StartFailedError(`${child.spawnfile} cannot be run: ${cause.message}`, { cause });
    }
    child.unref();
    if (await waitUntilReady(pid, port)) return { ok: true, pid };

    const printed = await readLog();
    if (printed.includes("could not bind")) return { ok: false, reason: "port-taken" };
    if (printed.includes("is still in use")) return { ok: false, reason: "memory-in-use" };
    const tail = printed.trim().split("\n").slice(-15).join("\n");
    throw new StartFailedError(
      `Postgres did not start. The last lines of its log, ${log}:\n${tail}\nMend what they name and start again; the data in ${dataDir} is left as it is.`,
    );
  } finally {
    await file.close();
  }
}

/**
 * Waits until a server accepts logins: 30 s while it is silent, 10 min while it says that it recovers. False when it has
 * ended or ran out of time; in the latter case it is ended.
 */
async function waitUntilReady(pid: number, port: number): Promise<boolean> {
  const start = performance.now();
  let heard = start;
  while (await isRunning(pid)) {
    const answer = await askServer(port, 1_000);
    // Another program on this port would not make this process go on running; it fails to bind and ends.
    if (answer === "accepting" && (await isRunning(pid))) return true;
    if (answer === "rejecting") heard = performance.now();
    if (performance.now() - heard > SILENT_LIMIT_MS || performance.now() - start > RECOVERY_LIMIT_MS) {
      await signalServer(pid, "SIGKILL");
      return false;
    }
    await sleep(20);
  }
  return false;
}

/**
 * Waits for a server that somebody else started: true when it accepts logins, false when it is frozen, is shutting down or
 * has ended.
 */
export async function waitForAnswer(dataDir: string): Promise<boolean> {
  const start = performance.now();
  let heard = start;
  while (performance.now() - heard < 5_000 && performance.now() - start < RECOVERY_LIMIT_MS) {
    const found = await findPostmaster(dataDir);
    if (!found || found.status === "stopping") return false;
    const answer = found.port === 0 ? "refused" : await askServer(found.port, 2_000);
    if (answer === "accepting") return true;
    if (answer === "rejecting") heard = performance.now();
    await sleep(50);
  }
  return false;
}
