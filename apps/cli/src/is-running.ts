import { readFileSync } from "node:fs";

/**
 * Whether a process with this id exists and has not ended; it may be another one that got the number since. One that
 * has ended and whose parent never asks for it (a zombie, as containers without an init keep them) does not count.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  if (process.platform !== "linux") return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may itself contain brackets and blanks.
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}
