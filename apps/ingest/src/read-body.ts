import type { IncomingMessage, ServerResponse } from "node:http";
import type { HeldBody } from "./body-memory.ts";

/** The exact bytes of a request, or why there are none. */
export type BodyReading =
  | { readonly ok: true; readonly body: Buffer }
  | { readonly ok: false; readonly reason: "too-large" | "body-memory" | "aborted" };

const EMPTY = Buffer.alloc(0);

/**
 * Reads the raw body, at most `maxBytes` of it: a larger one is read no further than it takes to know, and neither is one for which
 * there is no room.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  held: Pick<HeldBody, "fits" | "take">,
): Promise<BodyReading> {
  const announced = Number(req.headers["content-length"] ?? 0);
  if (announced > maxBytes) return Promise.resolve({ ok: false, reason: "too-large" });
  if (!held.fits(announced)) return Promise.resolve({ ok: false, reason: "body-memory" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (reading: BodyReading): void => {
      req.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      resolve(reading);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) done({ ok: false, reason: "too-large" });
      else if (!held.take(chunk.length)) done({ ok: false, reason: "body-memory" });
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      const [only] = chunks;
      done({
        ok: true,
        body: chunks.length === 1 && only ? only : chunks.length === 0 ? EMPTY : Buffer.concat(chunks),
      });
    };
    const onClose = (): void => done({ ok: false, reason: "aborted" });
    req.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

const LINGER_MS = 1_000;
const LINGER_BYTES = 8 * 1024 * 1024;

/**
 * Ends an answer, and with it the connection, whose request is not wanted: ended at once, the sender's kernel would drop
 * the answer along with the connection, so what still comes is thrown away for a moment and a bounded number of bytes.
 * The answer has to be written by then, with `connection: close`.
 */
export function endLingering(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req;
  const limit = socket.bytesRead + LINGER_BYTES;
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  req.on("data", () => {
    if (socket.bytesRead > limit) end();
  });
  req.on("end", end);
  socket.on("close", end);
}
