import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const MAX_LINE = 1_048_576;

/**
 * Calls `onLine` for each line of a stream, the last one too when nothing ends it. Lines end with a line feed and by
 * nothing else: node:readline would also split JSON at U+2028, which may stand raw in its strings.
 */
export function splitLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
    // A line without an end must not fill the memory.
    if (rest.length > MAX_LINE) {
      onLine(rest);
      rest = "";
    }
  });
  stream.on("end", () => {
    rest += decoder.end();
    if (rest !== "") onLine(rest);
    rest = "";
  });
}
