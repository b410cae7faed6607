import { eventually, startProcess } from "@penstock/testing";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const config = fileURLToPath(new URL("./fixtures/vitest.config.ts", import.meta.url));

/** Runs a test file that opens one of everything, with a temporary directory of its own. */
async function runInside(temporary: string, env: Record<string, string> = {}) {
  const report = join(temporary, "report.json");
  await rm(report, { force: true });
  const run = startProcess({
    file: vitest,
    args: ["run", "--config", config, "--configLoader", "runner"],
    env: { ...inherited(), TMPDIR: temporary, REPORT_FILE: report, ...env },
    name: "inner run",
  });
  const opened = await Promise.race([readReport(report), run.exited.then(() => readReport(report, 0))]).catch(
    (error: unknown) => {
      throw new Error(`The inner run printed:\n${[...run.stdout, ...run.stderr].join("\n")}`, { cause: error });
    },
  );
  return { run, opened };
}

interface Report {
  ports: number[];
  pids: number[];
}

function readReport(file: string, timeoutMs = 100_000): Promise<Report> {
  return eventually(async () => JSON.parse(await readFile(file, "utf8")) as Report, { timeoutMs });
}

/** The inner run shares what the outer one was given and has cached. */
function inherited(): Record<string, string> {
  const names = ["XDG_CACHE_HOME", "DOCKER_HOST"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

async function makeTemporary(): Promise<string> {
  const temporary = await mkdtemp(join(tmpdir(), "penstock-clean-up-"));
  onTestFinished(() => rm(temporary, { recursive: true, force: true, maxRetries: 5 }));
  return temporary;
}

async function serversIn(temporary: string): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith("penstock-test-"));
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("whatever a test file opened has ended when its run has", async () => {
  const temporary = await makeTemporary();
  const { run, opened } = await runInside(temporary);
  expect(await run.exited).toEqual({ code: 0, signal: null });
  expect(await Promise.all(opened.ports.map(isListening))).toEqual([false, false, false, false]);
  expect(opened.pids.map(isAlive)).toEqual([false]);
  expect(await serversIn(temporary)).toEqual([]);
}, 180_000);

test("servers of a run that was killed are ended by the next one", async () => {
  const temporary = await makeTemporary();
  const killed = await runInside(temporary, { STAY: "1" });
  process.kill(-killed.run.pid, "SIGKILL");
  await killed.run.exited;
  process.kill(-(killed.opened.pids[0] ?? 0), "SIGKILL");
  expect(await Promise.all(killed.opened.ports.map(isListening))).toEqual([true, true, true, true]);

  const next = await runInside(temporary);
  expect(await next.run.exited).toEqual({ code: 0, signal: null });
  expect(await Promise.all(killed.opened.ports.map(isListening))).toEqual([false, false, false, false]);
  expect(await serversIn(temporary)).toEqual([]);
}, 300_000);
