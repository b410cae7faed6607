import type { Socket } from "node:net";

/** More interim answers (1xx) than these before the final one are a failure. */
const MOST_INTERIM = 100;
/** The longest head that is looked at. A longer one goes to undici as it came, which has the same limit and refuses it. */
const MAX_HEAD_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);
const BEGINNING = Buffer.from("HTTP/1.");

/**
 * Lets an HTTP/1.1 connection of undici take what RFC 9110 lets a client take and undici refuses:
 *
 * - Interim answers (1xx) are dropped, asked for or not (section 15.2). undici resets the connection at a 100. A 101 is an
 *   error: it ends HTTP on the connection.
 * - Content-Length headers that agree become one (section 8.6). llhttp, the parser of undici and of node:http, refuses two.
 *   Values that differ stay as they came and are refused, and so is a Transfer-Encoding beside any.
 *
 * Only heads of answers are looked at. undici sends no request before the answer to the last one has ended, and writes a
 * request at once: the first bytes after a write begin an answer, and all that follows its final head goes through as it is.
 */
export function readLeniently(socket: Socket): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  /** What has come of a head; null after the final one. */
  let head: Buffer | null = null;
  let interim = 0;

  socket.write = ((...args: unknown[]) => {
    head = NOTHING;
    interim = 0;
    return write(...args);
  }) as Socket["write"];

  socket.read = (size?: number): Buffer | null => {
    // Node itself reads with a size.
    if (size !== undefined) return read(size);
    for (;;) {
      const chunk = read();
      if (chunk === null || head === null) return chunk;
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const passed = takeFinal();
      if (passed !== null) return passed;
    }
  };

  /** The final head and what follows it; null while it is not complete. */
  function takeFinal(): Buffer | null {
    while (head !== null && head.length > 0) {
      const end = endOfHead(head);
      if (end === null) return null;
      const status = end === 0 ? "" : head.toString("latin1", 9, 12);
      if (!/^1\d\d$/.test(status)) {
        const passed = end === 0 ? head : withOneLength(head, end);
        head = null;
        return passed;
      }
      if (status === "101")
        return fail("ECONNRESET", "It switched to another protocol (101), which was not asked for.");
      if (++interim > MOST_INTERIM) {
        return fail("INVALID_RESPONSE", `More than ${MOST_INTERIM} interim answers (1xx) came before the final one.`);
      }
      head = head.subarray(end);
    }
    return null;
  }

  function fail(code: string, message: string): null {
    socket.destroy(Object.assign(new Error(message), { code }));
    return null;
  }
}

/** Where the head of an answer ends; null while more is to come, 0 of what is no head to look at. */
function endOfHead(bytes: Buffer): number | null {
  const begun = Math.min(bytes.length, BEGINNING.length);
  if (bytes.compare(BEGINNING, 0, begun, 0, begun) !== 0) return 0;
  const end = bytes.indexOf("\r\n\r\n");
  if (end !== -1) return end + 4 > MAX_HEAD_BYTES ? 0 : end + 4;
  // Lines that end in LF alone are for undici to judge.
  return bytes.length > MAX_HEAD_BYTES || bytes.includes("\n\n") ? 0 : null;
}

const LENGTH_NAME = "\r\ncontent-length:";
const LENGTH_LINE = /\r\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)/gi;
const LENGTHS = /^\d+(?:[ \t]*,[ \t]*\d+)*$/;

/** The answer with one Content-Length where several, in lines of their own or in a list, agree; else as it is. */
function withOneLength(answer: Buffer, end: number): Buffer {
  const head = answer.toString("latin1", 0, end);
  const lower = head.toLowerCase();
  const first = lower.indexOf(LENGTH_NAME);
  if (first === -1) return answer;
  const isAlone = !lower.includes(LENGTH_NAME, first + 1);
  if (isAlone && !head.slice(first, head.indexOf("\r\n", first + 2)).includes(",")) return answer;
  const values = Array.from(head.matchAll(LENGTH_LINE), ([, value = ""]) => value);
  if (!values.every((value) => LENGTHS.test(value))) return answer;
  const [length = "", ...others] = values.flatMap((value) => value.split(",")).map((value) => value.trim());
  if (others.some((other) => other !== length)) return answer;
  let isFirst = true;
  const merged = head.replace(LENGTH_LINE, () => {
    const line = isFirst ? `\r\nContent-Length: ${length}` : "";
    isFirst = false;
    return line;
  });
  return Buffer.concat([Buffer.from(merged, "latin1"), answer.subarray(end)]);
}
