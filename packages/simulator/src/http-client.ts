import http from "node:http";
import https from "node:https";
import { urlToHttpOptions } from "node:url";
import type { SignedEvent } from "./event-supply.ts";

/** What came of one request. `code` is the system's error code, `TIMEOUT`, or `ABORTED` when the sending was stopped. */
export type Answer =
  | { readonly answered: true; readonly status: number; readonly text: string }
  | { readonly answered: false; readonly code: string };

/** The most that is kept of an answer's body, in bytes; the rest is read and dropped. */
const MAX_ANSWER_BYTES = 65_536;

/** Posts events to one URL over connections that are kept and used again. Connection errors are answers, not exceptions. */
export function createHttpClient({
  url,
  concurrency,
  timeoutMs,
  signal,
}: {
  readonly url: URL;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): { post(event: SignedEvent): Promise<Answer>; close(): void } {
  const { Agent, request } = url.protocol === "https:" ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency, maxFreeSockets: concurrency });
  const target = { ...urlToHttpOptions(url), method: "POST", agent, signal };

  function post({ body, headers }: SignedEvent): Promise<Answer> {
    return new Promise((resolve) => {
      const outgoing = request({
        ...target,
        headers: {
          "Content-Type": "application/json",
          "Content-Length": body.length,
          "User-Agent": "penstock-simulator",
          ...headers,
        },
      });
      const settle = (answer: Answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      // Settled before it is destroyed: what the destruction reports depends on how far the answer had come.
      const timer = setTimeout(() => {
        settle({ answered: false, code: "TIMEOUT" });
        outgoing.destroy();
      }, timeoutMs);
      // Request and answer may both fail, and more than once: the first outcome counts, but each failure needs a
      // listener, or it ends the process.
      const fail = (error: NodeJS.ErrnoException) => {
        settle({ answered: false, code: signal.aborted ? "ABORTED" : (error.code ?? "UNKNOWN") });
      };
      outgoing.on("error", fail);
      outgoing.on("response", (incoming) => {
        incoming.on("error", fail);
        const chunks: Buffer[] = [];
        let kept = 0;
        incoming.on("data", (chunk: Buffer) => {
          if (kept < MAX_ANSWER_BYTES) chunks.push(chunk.subarray(0, MAX_ANSWER_BYTES - kept));
          kept += chunk.length;
        });
        incoming.on("end", () => {
          settle({ answered: true, status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
        });
      });
      outgoing.end(body);
    });
  }

  return { post, close: () => agent.destroy() };
}
