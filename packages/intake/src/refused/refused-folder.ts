import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { wallClockMs } from "@penstock/schemas";

/** Names begin with the time, so that they sort by age. The token of a process stands in the name of a file that it imports. */
const NAME = /^refused-(\d{8}T\d{9}Z)-[0-9a-f]{8}(?:\.([0-9a-f]{8})\.importing)?\.ndjson$/;

/** Files that were imported but for some lines have this before their names. */
export const DAMAGED = "damaged-";

/** A process that imports a file touches the file far more often. What is untouched for so long was left by a crash. */
const LEFT_AFTER_MS = 60_000;

/** A file that waits to be imported. */
export interface WaitingFile {
  readonly name: string;
  readonly bytes: number;
  readonly createdAt: Date;
  /** The token of the process that has taken it; null: nobody has. */
  readonly takenBy: string | null;
  readonly touchedAt: Date;
}

/** The files that wait, the oldest first. */
export async function listWaiting(folder: string): Promise<WaitingFile[]> {
  const files: WaitingFile[] = [];
  for (const name of (await readdir(folder)).toSorted()) {
    const [, time, takenBy = null] = NAME.exec(name) ?? [];
    const found = time === undefined ? null : await stat(join(folder, name)).catch(() => null);
    if (time === undefined || found === null) continue; // another process has just imported it
    files.push({ name, bytes: found.size, createdAt: toDate(time), takenBy, touchedAt: found.mtime });
  }
  return files;
}

/** What is in a folder of refused files. */
export interface RefusedFolder {
  readonly files: number;
  readonly bytes: number;
  readonly oldestAt: Date | null;
  /** Names of files that were imported but for lines that could not be read. */
  readonly damaged: readonly string[];
}

/** Looks into a folder of refused files; one that does not exist has none. */
export async function lookIntoRefusedFolder(folder: string): Promise<RefusedFolder> {
  try {
    const files = await listWaiting(folder);
    return {
      files: files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      oldestAt: files[0]?.createdAt ?? null,
      damaged: (await readdir(folder)).filter((name) => name.startsWith(DAMAGED)),
    };
  } catch (error) {
    if (isGone(error)) return { files: 0, bytes: 0, oldestAt: null, damaged: [] };
    throw error;
  }
}

/** Makes a new file that only its owner may read. The folder is synced, too: else a power cut takes the name of the file away. */
export async function createFile(folder: string): Promise<{ readonly handle: FileHandle; readonly path: string }> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date(wallClockMs()).toISOString().replaceAll(/[-:.]/g, "");
  const path = join(folder, `refused-${time}-${randomBytes(4).toString("hex")}.ndjson`);
  // At the end, always: after a full disk the file is cut off where its last whole line ends.
  const handle = await open(path, "ax", 0o600);
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return { handle, path };
}

/**
 * Takes a file for this process by renaming it, and returns its path; null when another process was faster. A writer that
 * still has it open finds that its name is gone, and writes what is not read yet to a new file.
 */
export async function takeFile(folder: string, file: WaitingFile, token: string): Promise<string | null> {
  const isLeft = wallClockMs() - file.touchedAt.getTime() > LEFT_AFTER_MS;
  if (file.takenBy !== null && file.takenBy !== token && !isLeft) return null;
  const path = join(folder, `${stemOf(file.name)}.${token}.importing.ndjson`);
  try {
    await rename(join(folder, file.name), path);
    await touch(path);
    return path;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** Gives a file back, for another process to begin with at once. */
export async function giveBack(folder: string, path: string): Promise<void> {
  await rename(path, join(folder, `${stemOf(path.slice(folder.length + 1))}.ndjson`)).catch(() => undefined);
}

/** Shows other processes that the import of a file goes on. */
export async function touch(path: string): Promise<void> {
  const now = new Date(wallClockMs());
  await utimes(path, now, now);
}

export function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

const stemOf = (name: string): string => name.split(".")[0] ?? name;

function toDate(time: string): Date {
  return new Date(time.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(\d{3})Z$/, "$1-$2-$3T$4:$5:$6.$7Z"));
}
