import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort, isRunning } from "@penstock/embedded-postgres";
import { makeServerDirectory, removeServerDirectory } from "@penstock/test-postgres";
import { answersPing } from "./answers-ping.ts";
import type { UnpackedProgram } from "./unpacked/cache-folder.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

/** Starts a Redis program on a free port of 127.0.0.1 and waits until it answers. */
export async function startRedisProcess(program: UnpackedProgram, persistent: boolean): Promise<ServerUnderTest> {
  const dir = await makeServerDirectory();
  let port = 0;
  let started: ChildProcess | null = null;
  // Another process can be quicker to take a port that was free.
  for (let tries = 0; started === null && tries < 5; tries++) {
    port = await findFreePort();
    started = await run(program, dir, port, persistent);
  }
  if (started === null) throw new Error("Redis found no free port on 127.0.0.1.");
  let child = started;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    // A stopped process takes no other signal before this one.
    child.kill("SIGCONT");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(timer);
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    start: async () => {
      if (child.exitCode === null && child.signalCode === null) return;
      const again = await run(program, dir, port, persistent);
      if (again === null) throw new Error(`Port ${port} was taken while this Redis was down.`);
      child = again;
    },
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    freeze: async () => void child.kill("SIGSTOP"),
    thaw: async () => void child.kill("SIGCONT"),
    remove: async () => {
      await end("SIGKILL");
      await removeServerDirectory(dir);
    },
  };
}

/** Runs the program until it answers; null when the port was taken. */
async function run(
  program: UnpackedProgram,
  dir: string,
  port: number,
  persistent: boolean,
): Promise<ChildProcess | null> {
  const logPath = join(dir, "redis.log");
  await rm(logPath, { force: true });
  const log = await open(logPath, "a");
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    pidfile: join(dir, "redis.pid"),
    daemonize: "no",
    databases: "16",
    "maxmemory-policy": "noeviction",
    save: "",
    appendonly: persistent ? "yes" : "no",
    appendfsync: "always",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(program.file, args, {
    cwd: dir,
    // A session of its own: Ctrl-C is for the tests, which end it.
    detached: true,
    env: { ...process.env, ...program.env },
    stdio: ["ignore", log.fd, log.fd],
  });
  let spawnError: Error | null = null;
  child.on("error", (error) => (spawnError = error));
  child.unref();
  await log.close();
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline && spawnError === null && child.exitCode === null && child.signalCode === null) {
    if (await answersPing("127.0.0.1", port)) {
      // Another Redis on this port would answer as well; ours, unable to bind, ends.
      await sleep(20);
      if (child.exitCode === null) return child;
      break;
    }
    await sleep(15);
  }
  child.kill("SIGKILL");
  const printed = await readFile(logPath, "utf8").catch(() => "");
  if (printed.includes("Address already in use")) return null;
  throw new Error(`${program.file} did not start:\n${printed.split("\n").slice(-10).join("\n")}`, {
    cause: spawnError,
  });
}

/** Ends the Redis of a directory whose run was killed. */
export async function killAbandonedRedis(dir: string): Promise<void> {
  const pid = Number(await readFile(join(dir, "redis.pid"), "utf8").catch(() => "0"));
  if (pid === 0 || !(await isRunning(pid))) return;
  // The number may have been given to another program; a Redis of ours works in this directory.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => null);
  if (cwd === dir) process.kill(pid, "SIGKILL");
}
