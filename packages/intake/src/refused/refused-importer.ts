import { randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { wallClockMs } from "@penstock/schemas";
import { detached, instruments, type Logger, onceInAWhile } from "@penstock/telemetry";
import type { Intake } from "../create-intake.ts";
import type { VerifiedEvent } from "../new-event.ts";
import { readRefusedFile } from "./read-refused.ts";
import { DAMAGED, giveBack, isGone, listWaiting, takeFile, touch, type WaitingFile } from "./refused-folder.ts";
import type { RefusedWriter } from "./refused-writer.ts";

export interface RefusedImporterOptions {
  readonly folder: string;
  readonly intake: Pick<Intake, "accept">;
  readonly writer: Pick<RefusedWriter, "release">;
  /** Rejects while Postgres is away. */
  readonly ping: () => Promise<void>;
  readonly log: Logger;
  /** How often the folder is looked at, in milliseconds; 2,000 unless given. */
  readonly everyMs?: number;
}

/** Imports what the refused files hold. */
export interface RefusedImporter {
  /** Stops, and leaves the file that is being imported to another process. */
  close(): Promise<void>;
}

/** Committed together with what arrives meanwhile: few, so that requests do not wait for an import. */
const CHUNK_EVENTS = 100;
const CHUNK_BYTES = 2 * 1024 * 1024;

interface Taken {
  readonly file: WaitingFile;
  readonly path: string;
  /** How many lines are committed, or were told as unreadable. */
  done: number;
  damaged: number;
}

/**
 * Imports refused files while Postgres answers, the oldest first, in the order in which the requests came. Files of every
 * process count that keeps its files in this folder, so that a process that never comes back leaves nothing behind. A file is
 * deleted once all of it is committed. After a crash it is read again from its beginning, and the ledger knows the copies.
 */
export function createRefusedImporter(options: RefusedImporterOptions): RefusedImporter {
  const { folder, intake, writer, ping, log, everyMs = 2_000 } = options;
  const token = randomBytes(4).toString("hex");
  const stopped = new AbortController();
  const { signal } = stopped;
  const sayTrouble = onceInAWhile();
  let waiting: readonly WaitingFile[] = [];
  let taken: Taken | undefined;

  instruments.refusedFiles().addCallback((result) => result.observe(waiting.length));
  instruments
    .refusedBytes()
    .addCallback((result) => result.observe(waiting.reduce((sum, { bytes }) => sum + bytes, 0)));
  instruments.refusedAge().addCallback((result) => {
    const [oldest] = waiting;
    result.observe(oldest === undefined ? 0 : Math.max(0, (wallClockMs() - oldest.createdAt.getTime()) / 1_000));
  });

  async function look(): Promise<void> {
    waiting = await listWaiting(folder);
    if (taken !== undefined) await touch(taken.path);
    if (waiting.length === 0 || (await isAway())) return;
    await writer.release();
    for (const file of waiting) {
      if (signal.aborted) return;
      try {
        taken ??= await take(file);
        if (taken !== undefined) await importFile(taken);
      } catch (error) {
        if (signal.aborted || isGone(error) || (await isAway())) throw error;
        // It is this file: the others do not wait for it.
        sayTrouble(() =>
          log.error({ file: file.name, err: error }, "a refused file cannot be imported, it is tried again"),
        );
        if (taken !== undefined) await giveBack(folder, taken.path);
      }
      taken = undefined;
    }
    waiting = await listWaiting(folder);
  }

  const isAway = (): Promise<boolean> =>
    ping().then(
      () => false,
      () => true,
    );

  async function take(file: WaitingFile): Promise<Taken | undefined> {
    const path = await takeFile(folder, file, token);
    return path === null ? undefined : { file, path, done: 0, damaged: 0 };
  }

  /** @throws what intake throws while Postgres is away; what is committed by then is not read again by this process. */
  async function importFile(one: Taken): Promise<void> {
    let chunk: VerifiedEvent[] = [];
    let [bytes, lines, events] = [0, 0, 0];
    const commit = async (): Promise<void> => {
      await Promise.all(chunk.map((event) => intake.accept(event)));
      instruments.refusedEvents().add(chunk.length, { outcome: "imported" });
      events += chunk.length;
      one.done = lines;
      [chunk, bytes] = [[], 0];
      await touch(one.path);
      signal.throwIfAborted();
    };
    for await (const line of readRefusedFile(one.path)) {
      lines++;
      if (lines <= one.done) continue;
      if (!line.ok) {
        if (line.reason === "damaged") one.damaged++;
        log.warn({ file: one.file.name, line: line.line }, describeUnreadable(line.reason));
        continue;
      }
      chunk.push(line.refused.event);
      bytes += line.refused.event.body.length;
      if (chunk.length >= CHUNK_EVENTS || bytes >= CHUNK_BYTES) await commit();
    }
    await commit();
    if (one.damaged > 0) await rename(one.path, join(folder, `${DAMAGED}${one.file.name}`));
    else await rm(one.path, { force: true });
    log.info({ file: one.file.name, events }, "requests that were answered with 503 are imported");
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await look();
      } catch (error) {
        if (!isGone(error) && !signal.aborted) {
          sayTrouble(() => log.warn({ folder, err: error }, "refused files are not imported yet, it is tried again"));
        }
        // Another process has taken it for one that was left, and imports it.
        if (isGone(error)) taken = undefined;
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    if (taken !== undefined) await giveBack(folder, taken.path);
  }

  const running = detached(run);
  return {
    async close() {
      stopped.abort();
      await running;
    },
  };
}

function describeUnreadable(reason: "torn" | "damaged"): string {
  return reason === "torn"
    ? "the last line of a refused file is torn: its process ended in the middle of it, and had promised nothing"
    : "a line of a refused file cannot be read and is left out: the file is kept under the name damaged-…, delete it once you have looked at it";
}
