import { mkdir, readFile, realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRoot } from "./account.ts";
import { findBinaries, makeReachable, type Binaries } from "./binaries.ts";
import { DataUnusableError, StartFailedError } from "./errors.ts";
import { withFileLock } from "./file-lock.ts";
import { findFreePort, isPortFree } from "./free-port.ts";
import { initialise, setPassword } from "./initialise.ts";
import { launch, waitForAnswer, type LaunchOptions } from "./launch.ts";
import { placeData } from "./placement.ts";
import { disarmStaleLockFile, findPostmaster, stopPostmaster } from "./postmaster.ts";
import { newState, readState, toUrl, writeState, type ServerState } from "./state-file.ts";

/** A running embedded Postgres. */
export interface EmbeddedPostgres {
  /** `postgres://penstock:PASSWORD@127.0.0.1:PORT/penstock` */
  url: string;
  port: number;
  /** Where the data really is; not always below the directory that was given. */
  dataDir: string;
  pid: number;
  /** Whether it was running already: left behind by a run that was killed, or started by another process at the same time. */
  adopted: boolean;
  /** Shuts it down, also an adopted one, and waits for its end: fast shutdown, after 10 s an immediate one. */
  stop(): Promise<void>;
}

/** What to start, and where. */
export interface StartOptions {
  /** Directory of its own, made where it is missing: data, password, port and log. */
  dir: string;
  /** Unless set, the port of the last start while it is free, else any free one. An adopted server keeps its own. */
  port?: number;
  /** Settings of postgresql.conf for this start, over the embedded defaults; an adopted server keeps its own. */
  settings?: Record<string, string>;
  /** File that the server's log is appended to; `postgres.log` in the directory unless set. */
  log?: string;
  /** False makes new data without waiting for the disk. For data that is thrown away; the running server flushes either way. */
  flushNewData?: boolean;
}

/**
 * Starts the Postgres 18 of a directory, or adopts the one that is running there, and waits until it accepts logins.
 *
 * The first start makes the data. fsync and synchronous_commit stay on unless `settings` say otherwise. It listens on 127.0.0.1 only, with a random password
 * that is kept in the directory, readable by its owner only. It outlives this process; `stop` ends it. As root it runs as
 * the user `postgres` or `nobody`, and where that user cannot reach the directory, data goes to /var/lib/penstock.
 *
 * Errors: UnsupportedPlatformError, BinariesMissingError, DataUnusableError, LockTimeoutError, StartFailedError.
 *
 * @example
 * const postgres = await startEmbeddedPostgres({ dir: ".penstock" });
 * console.log(postgres.url);
 * await postgres.stop();
 */
export async function startEmbeddedPostgres(options: StartOptions): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  // Root's is passable for others: inside it the server is another user.
  await mkdir(options.dir, { recursive: true, mode: isRoot() ? 0o711 : 0o700 });
  const dir = await realpath(options.dir);
  const busy = `Another process has been starting the database in ${dir} for a minute. Wait for it or end it, then try again.`;
  return withFileLock({ file: join(dir, "postgres.lock"), waitMs: 60_000, busy }, () =>
    startLocked(dir, binaries, options),
  );
}

async function startLocked(dir: string, installed: Binaries, options: StartOptions): Promise<EmbeddedPostgres> {
  const placement = await placeData(dir);
  const { dataDir, account } = placement;
  const saved = await readState(dir);
  const state = saved ?? newState();

  const running = await findPostmaster(dataDir);
  if (running) {
    // Without its password nobody could log in to it, and nobody could set one while it runs.
    const adoptable = placement.exists && saved !== null && (await waitForAnswer(dataDir));
    const found = await findPostmaster(dataDir);
    if (adoptable && found) return adopt(dir, dataDir, state, found.pid, found.port, true);
    await stopPostmaster(running.pid, dataDir);
  }
  const binaries = account ? await makeReachable(installed, account) : installed;
  if (placement.exists) {
    await assertSameMajor(dataDir, binaries);
    await disarmStaleLockFile(dataDir);
    if (!saved) await setPassword(binaries, dataDir, account, state.password);
  } else {
    await initialise({ binaries, placement, password: state.password, flush: options.flushNewData ?? true });
  }
  // Before the first start: a server whose password nobody knows would have to be stopped again.
  if (!saved) await writeState(dir, state);

  const log = resolve(options.log ?? join(dir, "postgres.log"));
  const settings = options.settings ?? {};
  const { pid, port } = await launchOnFreePort({ binaries, dataDir, account, settings, log }, options.port, state.port);
  return adopt(dir, dataDir, state, pid, port, false);
}

/** Starts on the port that is asked for, else on the last one, else on a free one. */
async function launchOnFreePort(
  options: Omit<LaunchOptions, "port">,
  asked: number | undefined,
  last: number,
): Promise<{ pid: number; port: number }> {
  const deadline = performance.now() + 15_000;
  let preferred = asked ?? last;
  for (;;) {
    const port =
      preferred !== 0 && (asked !== undefined || (await isPortFree(preferred))) ? preferred : await findFreePort();
    const outcome = await launch({ ...options, port });
    if (outcome.ok) return { pid: outcome.pid, port };
    if (outcome.reason === "port-taken" && asked !== undefined) {
      throw new StartFailedError(
        `Port ${asked} of 127.0.0.1 is in use. End what listens there, or choose another port for Postgres.`,
      );
    }
    if (performance.now() > deadline) {
      throw new StartFailedError(`Postgres did not start (${outcome.reason}). Its log: ${options.log}`);
    }
    if (outcome.reason === "port-taken") preferred = 0;
    // Processes of a server that was killed end a moment after it.
    else await sleep(100);
  }
}

async function adopt(
  dir: string,
  dataDir: string,
  state: ServerState,
  pid: number,
  port: number,
  adopted: boolean,
): Promise<EmbeddedPostgres> {
  const current = { ...state, port };
  if (state.port !== port) await writeState(dir, current);
  return { url: toUrl(current), port, dataDir, pid, adopted, stop: () => stopPostmaster(pid, dataDir) };
}

async function assertSameMajor(dataDir: string, binaries: Binaries): Promise<void> {
  const version = (await readFile(join(dataDir, "PG_VERSION"), "utf8").catch(() => "")).trim();
  if (version === binaries.major) return;
  throw new DataUnusableError(
    version === ""
      ? `${dataDir} is not a Postgres data directory, or cannot be read. Move it away to start with an empty database.`
      : `The data in ${dataDir} was made by Postgres ${version}, this is Postgres ${binaries.major}. Dump it with the old one, move it away, start, and load the dump.`,
  );
}
