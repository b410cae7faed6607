import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import type { Placement } from "./placement.ts";
import { runProgram } from "./run-program.ts";
import { ROLE } from "./state-file.ts";

/** How new data is made. */
export interface InitialiseOptions {
  binaries: Binaries;
  placement: Placement;
  password: string;
  /** False leaves it to the kernel when the new files reach the disk: for data that is thrown away. */
  flush: boolean;
}

/**
 * Makes the data directory of a new server with its role and its database.
 *
 * It is made under another name and renamed when it is whole, so that a directory under its final name can be started,
 * whenever this process was killed. Call it only under the start lock.
 */
export async function initialise({ binaries, placement, password, flush }: InitialiseOptions): Promise<void> {
  const { dataDir, link, account } = placement;
  // Without a symlink nothing refers to data of that name any more: `dir` was removed, and its data with it.
  if (link) await rm(dataDir, { recursive: true, force: true });
  const parent = dirname(dataDir);
  await mkdir(parent, { recursive: true, mode: 0o755 });
  await removeAbandoned(dataDir);
  const workDir = `${dataDir}.init-${randomBytes(6).toString("hex")}`;
  await mkdir(workDir, { mode: 0o700 });
  if (account) await chown(workDir, account.uid, account.gid);
  try {
    const passwordFile = join(workDir, "password");
    await writeFile(passwordFile, password, { mode: 0o600, flag: "wx" });
    if (account) await chown(passwordFile, account.uid, account.gid);
    const unfinished = join(workDir, "data");
    await runProgram(
      join(binaries.root, "bin", "initdb"),
      [
        `--pgdata=${unfinished}`,
        `--username=${ROLE}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--data-checksums",
        // Postgres' own locale: the same order on every system, unmoved by an update of the C library.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        ...(flush ? [] : ["--no-sync"]),
      ],
      account,
    );
    await runSql(binaries, unfinished, account, `CREATE DATABASE ${ROLE}`, flush);
    await rename(unfinished, dataDir);
    if (link) await symlink(dataDir, link);
    if (flush) await flushDirectory(parent);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** Sets the password of the role, for data whose password was lost. The server must not run. */
export async function setPassword(
  binaries: Binaries,
  dataDir: string,
  account: Account | null,
  password: string,
): Promise<void> {
  await runSql(binaries, dataDir, account, `ALTER ROLE ${ROLE} PASSWORD '${password}'`, true);
}

/** Runs one statement in Postgres' single-user mode, which needs neither a server nor a client. */
async function runSql(
  binaries: Binaries,
  dataDir: string,
  account: Account | null,
  sql: string,
  flush: boolean,
): Promise<void> {
  const settings = ["-c", "exit_on_error=on", ...(flush ? [] : ["-c", "fsync=off"])];
  const args = ["--single", "-D", dataDir, ...settings, "template1"];
  await runProgram(join(binaries.root, "bin", "postgres"), args, account, `${sql}\n`);
}

/** Makes the rename last: after a power failure the old name would be taken for an abandoned directory. */
async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes what earlier initialisations left that were killed. */
async function removeAbandoned(dataDir: string): Promise<void> {
  const parent = dirname(dataDir);
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!path.startsWith(`${dataDir}.init-`)) continue;
    const isOurs = (await stat(path).catch(() => null))?.isDirectory() ?? false;
    if (isOurs) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}
