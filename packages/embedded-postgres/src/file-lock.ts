import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { LockTimeoutError } from "./errors.ts";

/** Which lock, how long to wait for it, and what to say when it was not had. */
export interface FileLockOptions {
  /** Made where it is missing; stays empty. */
  file: string;
  waitMs: number;
  busy: string;
}

const SQLITE_BUSY = 5;

/**
 * Runs `work` while no other process, nor another call in this one, runs work under the same lock file.
 *
 * The lock is SQLite's lock on an empty file, thus the kernel's: it goes away with the process that holds it, however
 * that ends. A file with a process id in it would have to be judged stale by somebody, and two would judge at once.
 * Errors: LockTimeoutError.
 */
export async function withFileLock<T>({ file, waitMs, busy }: FileLockOptions, work: () => Promise<T>): Promise<T> {
  const lock = new DatabaseSync(file);
  try {
    const deadline = performance.now() + waitMs;
    while (!tryLock(lock)) {
      if (performance.now() > deadline) throw new LockTimeoutError(busy);
      await sleep(50);
    }
    return await work();
  } finally {
    lock.close();
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
