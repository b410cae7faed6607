import { wallClockMs } from "@penstock/schemas";
import { PermanentError, RetryAfterError } from "./errors.ts";

/** Statuses below 500 after which another try can help: a time-out, too early, too many requests. */
const TEMPORARY = new Set([408, 425, 429]);

/**
 * `fetch` for effect handlers: returns an answer of success, and throws everything else as what it means for the next try.
 *
 * - 429, 408, 425, 5xx: a RetryAfterError where `Retry-After` names a wait (in seconds or as a date), else an Error.
 * - Any other 4xx, and a redirect, which is not followed (it would turn a POST into a GET, and take secrets elsewhere): a
 *   PermanentError.
 * - No connection, or one that breaks: an Error that says why.
 *
 * Messages name the host, the status, and a body that is one short word, as error codes are; never the URL, which may hold a
 * secret. Pass `ctx.signal`, or a request that hangs goes on when the handler's time is up.
 *
 * @example
 * await ctx.once("post", async () => {
 *   await fetchOk(url, { method: "POST", headers: { "idempotency-key": ctx.idempotencyKey }, body, signal: ctx.signal });
 * });
 */
export async function fetchOk(url: string | URL, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  const { host } = new URL(url);
  let response: Response;
  try {
    response = await fetch(url, { redirect: "manual", ...init });
  } catch (error) {
    if (init.signal.aborted) throw error;
    throw new Error(`${host} cannot be reached: ${causeOf(error)}`, { cause: error });
  }
  if (response.ok) return response;
  const { status } = response;
  const code = await readCode(response).catch(() => null);
  init.signal.throwIfAborted();
  const message = `${host} answered with ${status}${code === null ? "" : ` (${code})`}`;
  if (status < 500 && !TEMPORARY.has(status)) throw new PermanentError(message);
  const waitMs = toRetryAfterMs(response.headers.get("retry-after"));
  throw waitMs === null ? new Error(message) : new RetryAfterError(waitMs, message);
}

/** The wait of a Retry-After header, in milliseconds; null where it names none in the future. */
function toRetryAfterMs(header: string | null): number | null {
  if (header === null) return null;
  const waitMs = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - wallClockMs();
  return waitMs > 0 ? Math.ceil(waitMs) : null;
}

/** The body's beginning where that is all of it and one short word; a longer one may be a document, or repeat ours. */
async function readCode(response: Response): Promise<string | null> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  const chunk = await reader?.read();
  await reader?.cancel();
  const text = new TextDecoder().decode(chunk?.value?.subarray(0, 100)).trim();
  return /^[a-zA-Z_-]{1,60}$/.test(text) ? text : null;
}

/** What fetch hides behind "fetch failed". */
function causeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  if (typeof cause === "object" && cause !== null && "code" in cause) return String(cause.code);
  return cause instanceof Error ? cause.message : String(cause);
}
