import { hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { access, constants, mkdir, rm, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { wallClockMs } from "@penstock/schemas";
import { detached, instruments, type Logger, onceInAWhile } from "@penstock/telemetry";
import type { VerifiedEvent } from "../new-event.ts";
import { createFile, isGone, listWaiting } from "./refused-folder.ts";
import { REFUSED_FILE_HEADER, toRefusedLine } from "./refused-line.ts";

export interface RefusedWriterOptions {
  readonly folder: string;
  /** The most that all files in the folder may take together; null: no limit. */
  readonly maxBytes: number | null;
  readonly log: Logger;
}

/** Keeps signed requests on disk that are answered with 503. */
export interface RefusedWriter {
  /**
   * Resolves once the request is on disk, cannot be put there, or its sender has waited long enough. Never rejects: the
   * answer is 503 in any case.
   */
  keep(event: VerifiedEvent): Promise<void>;
  /** Rejects with what is wrong where nothing could be kept now. */
  check(): Promise<void>;
  /** Closes the file, so that it can be imported; the next request begins another one. */
  release(): Promise<void>;
}

/** What has to be read again after a crash in the middle of an import. */
const FILE_BYTES = 16 * 1024 * 1024;
/** Lines that wait for the disk. A disk that hangs must not take the memory of the process. */
const MAX_BUFFERED_BYTES = 32 * 1024 * 1024;
/** What a slow disk adds to the wait of a sender at most, in milliseconds. */
const MOST_WAIT_MS = 1_000;
/** Requests of the open file that are known by their hash: providers send each several times. */
const MAX_KNOWN = 50_000;

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  /** Of whole lines, all of them synced. */
  bytes: number;
  readonly known: Set<string>;
}

interface Line {
  readonly text: string;
  readonly key: string;
  /** Resolves once it is on disk, or cannot be put there. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/**
 * Writes what is refused to a file of this process. Requests that are refused together share one write and one fsync. What an
 * accepted request pays is nothing.
 */
export function createRefusedWriter({ folder, maxBytes, log }: RefusedWriterOptions): RefusedWriter {
  let buffered: Line[] = [];
  let bufferedBytes = 0;
  let isFlushing = false;
  let file: OpenFile | undefined;
  /** What is done with the file, one after another: a file that is being written is not closed. */
  let lastTurn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = lastTurn.then(work);
    lastTurn = turn.catch(() => undefined);
    return turn;
  };
  const sayKept = onceInAWhile();
  const sayLost = onceInAWhile();

  async function flush(): Promise<void> {
    // What else is refused in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (buffered.length > 0) {
      const lines = buffered;
      buffered = [];
      bufferedBytes = 0;
      try {
        await inTurn(() => write(lines));
      } catch (error) {
        lose(lines.length, "the file cannot be written", error);
      }
      for (const { end } of lines) end();
    }
    isFlushing = false;
  }

  async function write(lines: readonly Line[]): Promise<void> {
    const fresh = [...new Map(lines.map((line) => [line.key, line])).values()].filter(
      ({ key }) => !file?.known.has(key),
    );
    if (fresh.length === 0) return;
    const bytes = Buffer.from(fresh.map(({ text }) => `${text}\n`).join(""));
    const others = maxBytes === null ? 0 : await countBytes(folder);
    if (maxBytes !== null && others + bytes.length > maxBytes) {
      return lose(fresh.length, describeFull(maxBytes));
    }
    file ??= await openFile();
    const current = file;
    await append(current, bytes);
    // Another process has taken the file to import it, and may have read it before this was written.
    if (!(await hasItsName(current))) {
      await closeFile();
      return write(lines);
    }
    for (const { key } of fresh) if (current.known.size < MAX_KNOWN) current.known.add(key);
    instruments.refusedEvents().add(fresh.length, { outcome: "kept" });
    sayKept(() =>
      log.warn(
        { file: current.path },
        "signed requests that are answered with 503 are kept in a file, and imported when Postgres is back",
      ),
    );
    if (current.bytes >= FILE_BYTES) await closeFile();
  }

  async function openFile(): Promise<OpenFile> {
    const opened: OpenFile = { ...(await createFile(folder)), bytes: 0, known: new Set() };
    try {
      await append(opened, Buffer.from(`${REFUSED_FILE_HEADER}\n`));
      return opened;
    } catch (error) {
      await opened.handle.close();
      // Else a disk that is full would have an empty file more after each try.
      await rm(opened.path, { force: true });
      throw error;
    }
  }

  function lose(events: number, why: string, error?: unknown): void {
    instruments.refusedEvents().add(events, { outcome: "lost" });
    sayLost(() =>
      log.error(
        { folder, ...(error !== undefined && { err: error }) },
        `signed requests that are answered with 503 are not kept, and it is up to their senders to send them again: ${why}`,
      ),
    );
  }

  async function closeFile(): Promise<void> {
    const closed = file;
    file = undefined;
    await closed?.handle.close();
  }

  return {
    async keep(event) {
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      const text = toRefusedLine({ event, refusedAt: new Date(wallClockMs()) });
      if (bufferedBytes > MAX_BUFFERED_BYTES) return lose(1, "the disk is too slow");
      buffered.push({ key: keyOf(event), text, ended, end });
      bufferedBytes += text.length;
      // It goes on for those that come after this one, whose request it must not seem to belong to.
      if (!isFlushing) {
        isFlushing = true;
        void detached(flush);
      }
      const limit = new AbortController();
      await Promise.race([ended, delay(MOST_WAIT_MS, undefined, { signal: limit.signal }).catch(() => undefined)]);
      limit.abort();
    },
    async check() {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
      if (maxBytes !== null && (await countBytes(folder)) >= maxBytes) throw new Error(describeFull(maxBytes));
    },
    async release() {
      // Those that come meanwhile are not waited for: while requests are refused, there is always one.
      await buffered.at(-1)?.ended;
      await inTurn(closeFile);
    },
  };
}

/** Writes and syncs. What a full disk took only a part of is cut off again, so that the next line does not follow half a line. */
async function append(file: OpenFile, bytes: Buffer): Promise<void> {
  try {
    await file.handle.appendFile(bytes);
    await file.handle.datasync();
    file.bytes += bytes.length;
  } catch (error) {
    await file.handle.truncate(file.bytes).catch(() => undefined);
    throw error;
  }
}

async function hasItsName({ handle, path }: OpenFile): Promise<boolean> {
  try {
    return (await stat(path)).ino === (await handle.stat()).ino;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

async function countBytes(folder: string): Promise<number> {
  const files = await listWaiting(folder).catch((error: unknown) => {
    if (isGone(error)) return [];
    throw error;
  });
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

const describeFull = (maxBytes: number): string =>
  `the files take the ${maxBytes} bytes that INTAKE_REFUSED_BYTES allows`;

function keyOf({ source, identity: { id }, body }: VerifiedEvent): string {
  return hash("sha256", Buffer.concat([Buffer.from(`${source}\0${id ?? ""}\0`), body]), "base64");
}
