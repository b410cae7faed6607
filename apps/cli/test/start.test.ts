import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findEmbeddedPostgres } from "@penstock/embedded-postgres";
import { sampleBody } from "@penstock/schemas/fixtures";
import { eventually, startRedis } from "@penstock/testing";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { isRunning } from "../src/is-running.ts";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
beforeEach(async () => {
  penstock = await createPenstock();
  return penstock.remove;
});

interface Run {
  pid: number;
  ingestUrl: string;
  children: number[];
}

async function readRun(): Promise<Run> {
  return JSON.parse(await readFile(join(penstock.home, "run.json"), "utf8")) as Run;
}

async function postmasterPid(): Promise<number> {
  return Number((await readFile(join(penstock.home, "postgres", "postmaster.pid"), "utf8")).split("\n")[0]);
}

async function sendOne(...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await penstock.run(["send", "message.received", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  return stdout.join("\n");
}

test("an event that was sent is listed as processed, also after Ctrl-C and another start; nothing else is left", async () => {
  const first = await penstock.start();
  expect(first.stdout.join("\n")).toMatch(/webhook +http:\/\/127\.0\.0\.1:\d+\/webhooks\/buzzbip/);
  const secret = (await readFile(join(penstock.home, "signing-secret"), "utf8")).trim();
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect((await stat(join(penstock.home, "signing-secret"))).mode & 0o777).toBe(0o600);
  expect(first.stdout.join("\n")).toContain(`${secret.slice(0, 4)}…${secret.slice(-4)}`);
  expect([...first.stdout, ...first.stderr].join("\n")).not.toContain(secret);
  expect((await penstock.run(["secret", "show"])).stdout).toEqual([secret]);

  expect(await sendOne("--id", "evt_kept")).toMatch(
    /^200 accepted {2}evt_kept {2}processed within \d.*: picky succeeded$/,
  );

  const { children } = await readRun();
  const postgres = await postmasterPid();
  first.kill("SIGINT");
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(first.stdout.at(-1)).toBe("stopped");
  expect([...children, postgres].filter(isRunning)).toEqual([]);
  await expect(readRun()).rejects.toThrow("ENOENT");
  const down = await penstock.run(["send", "message.received"]);
  expect({ code: down.code, lines: down.stderr }).toEqual({ code: 1, lines: [expect.stringContaining("npm start")] });

  const second = await penstock.start();
  const { stdout } = await penstock.run(["events", "list", "--json"]);
  expect(parseLines(stdout)).toMatchObject([
    { id: "evt_kept", type: "message.received", status: "processed", deliveries: [{ subscriber: "picky" }] },
  ]);
  second.kill("SIGTERM");
  expect(await second.exited).toEqual({ code: 0, signal: null });
});

test("after a kill -9 of start its services end by themselves, and the next start takes over", async () => {
  const first = await penstock.start();
  const before = await readRun();
  const postgres = await postmasterPid();
  const body = join(penstock.home, "body.json");
  await writeFile(body, sampleBody);
  expect(await sendOne("--body-file", body)).toContain("processed within");
  first.kill("SIGKILL");
  await first.exited;

  // On the same port, at once: the ingest that is left may still hold it for a moment.
  const second = await penstock.start({ INGEST_PORT: new URL(before.ingestUrl).port });
  expect(second.stderr.join("\n")).toContain("It was still running");
  expect(await postmasterPid()).toBe(postgres);
  await eventually(() => expect(before.children.filter(isRunning)).toEqual([]));
  expect(await sendOne("--body-file", body)).toContain("known before");

  second.kill("SIGINT");
  expect(await second.exited).toEqual({ code: 0, signal: null });
  expect(isRunning(postgres)).toBe(false);
});

test("what dies is started again: worker, ingest and Postgres", async () => {
  const start = await penstock.start();
  const [ingest = 0, worker = 0] = (await readRun()).children;

  process.kill(worker, "SIGKILL");
  await start.waitForLine(/^worker ended \(SIGKILL\), starting it again in 1 s/);
  expect(await sendOne()).toContain("picky succeeded");

  process.kill(ingest, "SIGKILL");
  await start.waitForLine(/^ingest ended \(SIGKILL\)/);
  const { ingestUrl } = await readRun();
  await eventually(async () => expect((await fetch(`${ingestUrl}/readyz`)).status).toBe(200));

  const postgres = await postmasterPid();
  process.kill(postgres, "SIGKILL");
  await start.waitForLine(/^Postgres ended, starting it again/);
  await eventually(async () => expect(await findEmbeddedPostgres(penstock.home)).toMatchObject({ running: true }));
  await eventually(async () => expect((await fetch(`${ingestUrl}/readyz`)).status).toBe(200));
  await eventually(async () => expect(await sendOne()).toContain("picky succeeded"), { timeoutMs: 30_000 });
});

test("a second start says that one is running, and leaves it alone", async () => {
  const first = await penstock.start();
  const second = await penstock.run(["start"]);
  expect(second.code).toBe(1);
  expect(second.stderr).toEqual([expect.stringContaining(`already running here: process ${first.pid}`)]);
  expect(await sendOne()).toContain("200 accepted");
});

test("a worker that does not stop in time is killed; a second Ctrl-C waits for nothing", async () => {
  const patient = await penstock.start({ SHUTDOWN_MS: "0" });
  const [, frozen = 0] = (await readRun()).children;
  process.kill(frozen, "SIGSTOP");
  patient.kill("SIGINT");
  expect(await patient.exited).toEqual({ code: 0, signal: null });
  expect(isRunning(frozen)).toBe(false);

  const hurried = await penstock.start();
  const { children } = await readRun();
  process.kill(children[0] ?? 0, "SIGSTOP");
  hurried.kill("SIGINT");
  await hurried.waitForLine(/^Stopping/);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const secondAt = performance.now();
  hurried.kill("SIGINT");
  expect(await hurried.exited).toEqual({ code: 130, signal: null });
  expect(performance.now() - secondAt).toBeLessThan(8_000);
  await eventually(() => expect(children.filter(isRunning)).toEqual([]));
  await eventually(async () => expect(await findEmbeddedPostgres(penstock.home)).toMatchObject({ running: false }));
});

test("a port that is taken is told in one line, and nothing is started", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stdout, stderr } = await penstock.run(["start"], { INGEST_PORT: String(port) });
  other.close();
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  expect(stderr).toEqual([expect.stringMatching(new RegExp(`Port ${port} of 127.0.0.1 is in use.*INGEST_PORT=`))]);
  expect(await findEmbeddedPostgres(penstock.home)).toBeNull();
});

test("a configuration that is not there is told, and nothing is started", async () => {
  const { code, stdout, stderr } = await penstock.run(["start"], { PENSTOCK_CONFIG: "/nowhere/penstock.config.ts" });
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  expect(stderr.at(-1)).toContain("/nowhere/penstock.config.ts does not exist");
  expect(await findEmbeddedPostgres(penstock.home)).toBeNull();
});

test("a handler's migration that fails is told, and Postgres is stopped again", async () => {
  const config = fileURLToPath(new URL("fixtures/failing-migration.config.ts", import.meta.url));
  const { code, stdout, stderr } = await penstock.run(["start"], { PENSTOCK_CONFIG: config });
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  expect(stderr.at(-1)).toMatch(/migrating schema broken failed in migration broken\/0001-broken: no such thing/);
  expect(await findEmbeddedPostgres(penstock.home)).toMatchObject({ running: false });
});

test("a queue that refuses everything is told with what to do, and events are accepted meanwhile", async () => {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  await client.config("SET", "requirepass", "s3cr3t");
  const start = await penstock.start({ QUEUE_URL: redis.url });
  const told = start.stdout.join("\n");
  expect(told).toMatch(/^Penstock .* is ready, but its queue does not work/);
  expect(told).toMatch(/^ +queue +BullMQ on Redis, DOES NOT WORK$/m);
  expect(told).toMatch(
    /^the queue is not available: Redis wants a password, and QUEUE_URL has none\. Put it there.*\nUntil it works, events/m,
  );
  for (const name of ["ingest", "worker"]) {
    await start.waitForLine(new RegExp(`WARN.*${name}: the queue is not available: Redis wants a password`));
  }
  const { ingestUrl } = await readRun();
  const ready = await fetch(`${ingestUrl}/readyz`);
  expect([ready.status, await ready.json()]).toMatchObject([200, { status: "degraded", checks: { queue: "failed" } }]);
  const sent = await penstock.call(["send", "message.received", "--count", "2"], { QUEUE_URL: redis.url });
  expect(sent.stdout.join("\n")).toMatch(/2 .*accepted|accepted.* 2|200/);
  await client.config("SET", "requirepass", "");
  await eventually(async () => expect(await sendOne()).toContain("picky succeeded"), { timeoutMs: 60_000 });
});

test("with LOG_LEVEL=error it is ready all the same, and the logs hold nothing less", async () => {
  const start = await penstock.start({ LOG_LEVEL: "error" });
  start.kill("SIGINT");
  expect(await start.exited).toEqual({ code: 0, signal: null });
  for (const name of ["ingest", "worker"]) {
    expect(await readFile(join(penstock.home, "logs", `${name}.log`), "utf8")).toBe("");
  }
});

test("all that is wrong with the environment is told at once, by name and never by value", async () => {
  const env = { INGEST_PORT: "s3cr3t", LOG_LEVEL: "s3cr3t", WORKER_CONCURRENCY: "s3cr3t", QUEUE_URL: "s3cr3t" };
  const { code, stdout, stderr } = await penstock.run(["start"], env);
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  for (const name of Object.keys(env)) expect(stderr.join("\n")).toContain(name);
  expect(stderr.join("\n")).not.toContain("s3cr3t");
  await expect(stat(penstock.home)).rejects.toThrow("ENOENT");
});
