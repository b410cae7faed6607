import { createWriteStream, renameSync, statSync } from "node:fs";
import type { Readable } from "node:stream";

const MAX_BYTES = 10 * 1_048_576;

/** A file that lines are appended to. */
export interface LogFile {
  readonly path: string;
  /** Appends a line; `from` is held back while the disk is behind, so that lines do not pile up in memory. */
  write(line: string, from: Readable): void;
  close(): Promise<void>;
}

/**
 * Opens a log file for appending; one of more than 10 MB becomes `<path>.1` first. A log that cannot be written must not
 * stop what it tells about: `onError` hears of it once, and further lines are dropped.
 */
export function openLogFile(path: string, onError: (error: Error) => void): LogFile {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_BYTES) renameSync(path, `${path}.1`);
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  const held = new Set<Readable>();
  const release = () => {
    for (const source of held) source.resume();
    held.clear();
  };
  let broken = false;
  stream.on("drain", release);
  stream.on("error", (error) => {
    if (!broken) onError(error);
    broken = true;
    release();
  });
  return {
    path,
    write(line, from) {
      if (broken || stream.write(`${line}\n`)) return;
      from.pause();
      held.add(from);
    },
    close: () => new Promise((resolve) => (broken ? resolve() : stream.end(resolve))),
  };
}
