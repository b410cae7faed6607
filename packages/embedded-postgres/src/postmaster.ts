import { execFile } from "node:child_process";
import { readdir, readFile, readlink, realpath, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { StopFailedError } from "./errors.ts";

/** A running server as its lock file, `postmaster.pid`, describes it. */
export interface Postmaster {
  pid: number;
  /** 0 until the server has chosen it. */
  port: number;
  status: "starting" | "stopping" | "ready" | "standby" | "";
}

/** More than any system gives to a process. */
const NOBODYS_PID = 2_147_483_646;

/**
 * The server that runs on this data directory, or null.
 *
 * A process counts only when it is a postgres of this very directory: after a crash the number in the lock file may have
 * been given to any other program.
 */
export async function findPostmaster(dataDir: string): Promise<Postmaster | null> {
  const lock = await readLockFile(dataDir);
  return lock && (await isPostmaster(lock.pid, dataDir)) ? lock : null;
}

/**
 * Lets a server start although a lock file was left behind whose process id now belongs to another program, which
 * Postgres itself takes for a running server.
 *
 * Only the number is changed: Postgres goes by the rest of the file to see whether parts of the dead server still hold
 * its shared memory. Call it only under the start lock, after findPostmaster said null.
 */
export async function disarmStaleLockFile(dataDir: string): Promise<void> {
  const path = join(dataDir, "postmaster.pid");
  const text = await readFile(path, "utf8").catch(() => null);
  const pid = Number(text?.split("\n")[0]);
  if (text === null || !isAlive(pid)) return;
  // Written over in place by root, it would become root's; the server has to be able to remove it.
  await writeFile(path, text.replace(/^[^\n]*/, String(NOBODYS_PID)), { flag: "r+" });
}

/**
 * Ends a server by process id: a fast shutdown (SIGINT), after `graceMs` an immediate one (SIGQUIT; it recovers at its next
 * start, nothing committed is lost), at last SIGKILL. Does nothing when it has ended already.
 *
 * Errors: STOP_FAILED.
 */
export async function stopPostmaster(pid: number, dataDir: string, graceMs = 10_000): Promise<void> {
  const steps = [
    { signal: "SIGINT", waitMs: graceMs },
    { signal: "SIGQUIT", waitMs: 7_000 },
    { signal: "SIGKILL", waitMs: 5_000 },
  ] as const;
  for (const { signal, waitMs } of steps) {
    // The number may have been given to another program in the meantime.
    if (!(await isPostmaster(pid, dataDir))) return;
    sendSignal(pid, signal);
    // A stopped process takes no other signal before this one.
    for (const child of [pid, ...(await childrenOf(pid))]) sendSignal(child, "SIGCONT");
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      if (!(await isRunning(pid))) return;
      await sleep(20);
    }
  }
  throw new StopFailedError(`The Postgres with process id ${pid} (${dataDir}) did not end.`);
}

/**
 * Sends a signal to a server and all its processes, which a signal to its group would not reach: each of them leads a group
 * of its own. SIGSTOP makes it a frozen server, SIGCONT thaws it, SIGKILL makes it a crashed one and waits until all are gone.
 */
export async function signalServer(pid: number, signal: NodeJS.Signals): Promise<void> {
  // Stopped, it starts no replacement for a child; dead, it would no longer be known whose children they are.
  sendSignal(pid, "SIGSTOP");
  // It may be amid a fork, whose child nobody would see yet.
  for (let tries = 0; tries < 500 && /[^TtZX]/.test(await stateOf(pid)); tries++) await sleep(2);
  const children = await childrenOf(pid);
  for (const each of [...children, pid]) sendSignal(each, signal);
  if (signal !== "SIGSTOP") sendSignal(pid, "SIGCONT");
  if (signal !== "SIGKILL") return;
  while ((await Promise.all([pid, ...children].map(isRunning))).includes(true)) await sleep(10);
}

/** Whether the process exists and has not ended; one that nobody has buried yet (a zombie) has ended. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  return process.platform !== "linux" || /[^ZX]/.test(await stateOf(pid));
}

/** The letter for the state of a process, as Linux has it; empty where it is gone, or elsewhere. */
async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name, in brackets, may itself contain brackets and blanks.
  return stat.charAt(stat.lastIndexOf(")") + 2);
}

async function readLockFile(dataDir: string): Promise<Postmaster | null> {
  const text = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => null);
  if (text === null) return null;
  // Line by line: pid, data directory, start time, port, socket directory, address, shared memory, status.
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return { pid, port: Number(lines[3] ?? 0) || 0, status: (lines[7] ?? "") as Postmaster["status"] };
}

async function isPostmaster(pid: number, dataDir: string): Promise<boolean> {
  if (!(await isRunning(pid))) return false;
  const command = await commandOf(pid);
  if (basename(command[0] ?? "") !== "postgres") return false;
  if (command.includes(dataDir)) return true;
  // The directory may have been renamed since; the server's working directory follows. Not everybody may look.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  return cwd !== null && cwd === (await realpath(dataDir).catch(() => null));
}

async function commandOf(pid: number): Promise<string[]> {
  if (process.platform === "linux") {
    return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  }
  const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", "command=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  const [program = "", rest = ""] = stdout.trim().split(" -D ", 2);
  // A path with blanks is found again because the options after it are ours.
  return [program, rest.split(" -c ")[0] ?? ""];
}

async function childrenOf(pid: number): Promise<number[]> {
  if (process.platform !== "linux") {
    const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid="]);
    return stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([child, parent]) => (child !== undefined && parent === pid ? [child] : []));
  }
  const children: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (parent === pid) children.push(Number(name));
  }
  return children;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended before we could tell it to.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
