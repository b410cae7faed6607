import { createReadStream } from "node:fs";
import { fromRefusedLine, REFUSED_FILE_HEADER, type RefusedEvent } from "./refused-line.ts";

/** A line of a refused file. */
export type RefusedLine =
  | { readonly ok: true; readonly refused: RefusedEvent }
  /** `torn`: the last line, which its process did not live to finish. `damaged`: any other that cannot be read. */
  | { readonly ok: false; readonly reason: "torn" | "damaged"; readonly line: number };

/** Whether a file with this first line is a refused file. */
function isRefusedFile(firstLine: string): boolean {
  return firstLine === REFUSED_FILE_HEADER;
}

/** Reads the lines of a refused file after its header, in the order in which the requests came. */
export async function* readRefusedFile(path: string): AsyncGenerator<RefusedLine> {
  let number = 0;
  for await (const { text, isLast } of readLines(path)) {
    number++;
    // Two files put together have a second header.
    if (isRefusedFile(text) || (isLast && text === "")) continue;
    const refused = isLast ? null : fromRefusedLine(text);
    if (refused !== null) yield { ok: true, refused };
    else yield { ok: false, reason: isLast ? "torn" : "damaged", line: number };
  }
}

/** Not readline: it also ends a line at U+2028, which may stand in an id. `isLast`: no newline follows. */
async function* readLines(path: string): AsyncGenerator<{ readonly text: string; readonly isLast: boolean }> {
  let parts: Buffer[] = [];
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield { text: Buffer.concat(parts).toString(), isLast: false };
      parts = [];
      start = end + 1;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  yield { text: Buffer.concat(parts).toString(), isLast: true };
}
