import { findEmbeddedPostgres, signalServer, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { makeServerDirectory, readSystemIdentifier, startElsewhere } from "./server-directory.ts";

test("a second start finds the same data, password and port", async () => {
  const dir = await makeServerDirectory();
  expect(await findEmbeddedPostgres(dir)).toBeNull();
  const first = await startEmbeddedPostgres({ dir });
  const identifier = await readSystemIdentifier(first.dataDir);
  expect(await findEmbeddedPostgres(dir)).toEqual({ url: first.url, running: true });
  await first.stop();
  expect(await findEmbeddedPostgres(dir)).toEqual({ url: first.url, running: false });

  const second = await startEmbeddedPostgres({ dir });
  expect(second).toMatchObject({ url: first.url, port: first.port, adopted: false });
  expect(await readSystemIdentifier(second.dataDir)).toBe(identifier);
  expect((await stat(join(dir, "postgres.json"))).mode & 0o777).toBe(0o600);
  await second.stop();
  await second.stop();
});

test("a server whose starter was killed is adopted, and stopped by who adopted it", async () => {
  const dir = await makeServerDirectory();
  const elsewhere = startElsewhere(dir);
  const { pid, port } = await elsewhere.started;
  await elsewhere.kill();
  const adopted = await startEmbeddedPostgres({ dir });
  expect(adopted).toMatchObject({ pid, port, adopted: true });
  await adopted.stop();
  expect(await findEmbeddedPostgres(dir)).toMatchObject({ running: false });
});

test("of two starts at the same time one starts the server and the other adopts it", async () => {
  const dir = await makeServerDirectory();
  const both = await Promise.all([startElsewhere(dir).started, startElsewhere(dir).started]);
  expect(new Set(both.map(({ pid }) => pid)).size).toBe(1);
  expect(both.filter(({ adopted }) => adopted)).toHaveLength(1);
});

test("a server that no longer answers is ended and another one is started on its data", async () => {
  const dir = await makeServerDirectory();
  const frozen = await startEmbeddedPostgres({ dir, flushNewData: false });
  const identifier = await readSystemIdentifier(frozen.dataDir);
  await signalServer(frozen.pid, "SIGSTOP");
  const next = await startEmbeddedPostgres({ dir });
  expect(next).toMatchObject({ url: frozen.url, adopted: false });
  expect(next.pid).not.toBe(frozen.pid);
  expect(await readSystemIdentifier(next.dataDir)).toBe(identifier);
});

test.each([
  { whose: "a process that has ended", pid: null },
  { whose: "another program that was given its number", pid: process.pid },
])("a crashed server's lock file with the number of $whose is no obstacle", async ({ pid }) => {
  const dir = await makeServerDirectory();
  const crashed = await startEmbeddedPostgres({ dir, flushNewData: false });
  await signalServer(crashed.pid, "SIGKILL");
  const lockFile = join(crashed.dataDir, "postmaster.pid");
  const text = await readFile(lockFile, "utf8");
  await writeFile(lockFile, text.replace(/^\d+/, String(pid ?? crashed.pid)), { flag: "r+" });
  expect(await startEmbeddedPostgres({ dir })).toMatchObject({ url: crashed.url, adopted: false });
});

test("a first start that is killed while it makes the data leaves nothing in the way of the next", async () => {
  const dir = await makeServerDirectory();
  const elsewhere = startElsewhere(dir);
  const beingMade = async (): Promise<string[]> =>
    (await readdir(dir).catch(() => [])).filter((name) => name.startsWith("postgres.init-"));
  // What initdb writes first: it goes on for a while.
  await vi.waitFor(async () => stat(join(dir, String((await beingMade())[0]), "data", "PG_VERSION")), {
    timeout: 30_000,
    interval: 5,
  });
  await elsewhere.kill();
  expect(await beingMade()).toHaveLength(1);
  const server = await startEmbeddedPostgres({ dir, flushNewData: false });
  expect(server.adopted).toBe(false);
  expect(await beingMade()).toEqual([]);
});

test("a port that somebody else took in the meantime is replaced, unless it was asked for", async () => {
  const dir = await makeServerDirectory();
  const first = await startEmbeddedPostgres({ dir, flushNewData: false });
  await first.stop();
  const squatter = createServer().listen(first.port, "127.0.0.1");
  onTestFinished(() => void squatter.close());
  await expect(startEmbeddedPostgres({ dir, port: first.port })).rejects.toMatchObject({
    code: "POSTGRES_START_FAILED",
    message: expect.stringContaining(`Port ${first.port}`),
  });
  const second = await startEmbeddedPostgres({ dir });
  expect(second.port).not.toBe(first.port);
  expect(await findEmbeddedPostgres(dir)).toEqual({ url: second.url, running: true });
});

test("settings are in force, and a wrong one fails with what the log says about it", async () => {
  const dir = await makeServerDirectory();
  const log = join(dir, "server.log");
  await expect(
    startEmbeddedPostgres({ dir, log, flushNewData: false, settings: { shared_buffers: "nonsense" } }),
  ).rejects.toMatchObject({ code: "POSTGRES_START_FAILED", message: expect.stringContaining('"nonsense"') });
  await startEmbeddedPostgres({ dir, log, settings: { log_min_messages: "debug1" } });
  expect(await readFile(log, "utf8")).toContain("DEBUG:");
});

test("a lost password is set anew and the data is kept", async () => {
  const dir = await makeServerDirectory();
  const first = await startEmbeddedPostgres({ dir, flushNewData: false });
  const identifier = await readSystemIdentifier(first.dataDir);
  await rm(join(dir, "postgres.json"));
  const second = await startEmbeddedPostgres({ dir });
  expect(second.adopted).toBe(false);
  expect(new URL(second.url).password).not.toBe(new URL(first.url).password);
  expect(await readSystemIdentifier(second.dataDir)).toBe(identifier);
});

test("data of another major version is refused and left alone", async () => {
  const dir = await makeServerDirectory();
  const server = await startEmbeddedPostgres({ dir, flushNewData: false });
  await server.stop();
  const versionFile = join(server.dataDir, "PG_VERSION");
  await writeFile(versionFile, "15\n", { flag: "r+" });
  await expect(startEmbeddedPostgres({ dir })).rejects.toMatchObject({ code: "POSTGRES_DATA_UNUSABLE" });
  await writeFile(versionFile, "18\n", { flag: "r+" });
  expect((await startEmbeddedPostgres({ dir })).url).toBe(server.url);
});
