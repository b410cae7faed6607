import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { existsSync } from "node:fs";
import { lstat, mkdir, readlink, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { isRoot, unprivilegedAccount } from "../src/account.ts";
import { makeReachable } from "../src/binaries.ts";
import { makeServerDirectory } from "./server-directory.ts";

// Run as root and as another user: each asserts its half.
test("in a directory that only its owner passes, root's data goes where Postgres' user reaches it, a user's stays", async () => {
  const dir = await makeServerDirectory(0o700);
  const first = await startEmbeddedPostgres({ dir, flushNewData: false });
  const home = join(await realpath(dir), "postgres");
  if (isRoot()) {
    expect(first.dataDir).toMatch(/^\/var\/lib\/penstock\/[0-9a-f]{16}$/);
    expect(await readlink(home)).toBe(first.dataDir);
    expect((await stat(first.dataDir)).uid).toBe(unprivilegedAccount().uid);
  } else {
    expect(first.dataDir).toBe(home);
    expect((await lstat(home)).isDirectory()).toBe(true);
  }
  expect((await stat(dirname(dir))).mode & 0o777).toBe(0o700);
  await first.stop();
  expect(await startEmbeddedPostgres({ dir })).toMatchObject({ dataDir: first.dataDir, url: first.url });
  await removeEmbeddedPostgres(dir);
  expect(existsSync(first.dataDir)).toBe(false);
});

test("in a directory that everybody passes, the data lies in the directory", async () => {
  const dir = await makeServerDirectory(0o755);
  const server = await startEmbeddedPostgres({ dir, flushNewData: false });
  expect(server.dataDir).toBe(join(await realpath(dir), "postgres"));
  expect((await stat(server.dataDir)).uid).toBe(isRoot() ? unprivilegedAccount().uid : process.getuid?.());
});

test("removing the directory gives up its data: a start at the same place begins empty", async () => {
  const dir = await makeServerDirectory(0o700);
  const first = await startEmbeddedPostgres({ dir, flushNewData: false });
  await first.stop();
  await rm(dir, { recursive: true });
  const second = await startEmbeddedPostgres({ dir, flushNewData: false });
  expect(second.url).not.toBe(first.url);
});

test("a symlink to data that is gone stops the start instead of beginning empty", async () => {
  const dir = await makeServerDirectory();
  await mkdir(dir);
  await symlink(join(dir, "gone"), join(dir, "postgres"));
  await expect(startEmbeddedPostgres({ dir })).rejects.toMatchObject({ code: "POSTGRES_DATA_UNUSABLE" });
  await rm(join(dir, "postgres"));
});

test("programs that Postgres' user cannot reach are copied once, as root; a user's run where they are", async () => {
  const root = join(await makeServerDirectory(0o700), "native");
  await mkdir(join(root, "bin"), { recursive: true, mode: 0o700 });
  const program = join(root, "bin", "postgres");
  await writeFile(program, "program", { mode: 0o700 });
  await symlink("postgres", join(root, "bin", "link"));
  const version = `0.0.0-test-${process.pid}`;
  const account = isRoot() ? unprivilegedAccount() : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const reachable = await makeReachable({ version, major: "0", root }, account);
  if (!isRoot()) return expect(reachable.root).toBe(root);

  onTestFinished(() => rm(reachable.root, { recursive: true, force: true }));
  expect(reachable.root).toBe(`/var/lib/penstock/native-${version}`);
  expect((await stat(join(reachable.root, "bin", "postgres"))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(reachable.root, "bin", "link"))).toBe("postgres");
  expect((await stat(program)).mode & 0o777).toBe(0o700);
  // A second one takes the copy that is there.
  const { ino } = await stat(reachable.root);
  await makeReachable({ version, major: "0", root }, account);
  expect((await stat(reachable.root)).ino).toBe(ino);
});
