import { hash } from "node:crypto";
import type { SavedRequest, SourceWithSecrets } from "@penstock/sources/explain";
import { wallClockMs } from "@penstock/schemas";
import { keepRefusedRequests, type RefusedRequest, type Store } from "@penstock/store/intake";
import { detached, type Logger, onceInAWhile } from "@penstock/telemetry";
import type { ConfiguredSource } from "./configured-source.ts";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";

/** Kept per second, of each source and of all together. The rest is counted. */
const PER_SECOND = 5;
const PER_SECOND_IN_ALL = 10;
/** What waits to be written. Bodies of requests that wait are held in memory, so both are bounded. */
const MAX_WAITING = 50;
const WRITE_AFTER_MS = 500;
/** A longer body is hashed and not looked into: to try what may have happened to it would hold up other requests. */
const EXPLAINED_BYTES = 16_384;
const MAX_VALUE_LENGTH = 300;
/** What a sender may have sent along and is nobody's business. */
const NEVER_KEPT = new Set(["authorization", "cookie", "proxy-authorization"]);

/** A request that is refused, as far as the route knows it. */
export interface Refusal {
  readonly reason: string;
  readonly status: number;
  readonly address: string;
  readonly method: string;
  readonly url: string;
  header(name: string): string | undefined;
  readonly headerNames: readonly string[];
  /** Null where it was not read. */
  readonly body: Buffer | null;
}

/** Keeps the last refused requests of each source, away from the way of requests. */
export interface RefusalLog {
  /** Takes note of a request that is refused: in a flood, of a number and no more. */
  note(name: string, configured: ConfiguredSource, refusal: Refusal): void;
}

interface Waiting {
  readonly name: string;
  readonly configured: ConfiguredSource;
  /** Without its body, where that is too long to be looked into. */
  readonly refusal: Refusal;
  readonly bodyBytes: number | null;
  readonly bodySha256: string | null;
  readonly at: number;
  readonly now: number;
  readonly leftOut: number;
}

export function createRefusalLog(
  sources: ReadonlyMap<string, ConfiguredSource>,
  { store, log, signal }: { readonly store: Store; readonly log: Logger; readonly signal: AbortSignal },
): RefusalLog {
  const limit: RateLimit = createRateLimit(PER_SECOND);
  const limitOfAll = createRateLimit(PER_SECOND_IN_ALL);
  const leftOut = new Map<string, number>();
  const sayLost = onceInAWhile();
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    timer = undefined;
    if (signal.aborted) return;
    const batch = waiting;
    waiting = [];
    if (batch.length === 0) return;
    try {
      const requests: RefusedRequest[] = [];
      for (const one of batch) {
        requests.push(await toRefusedRequest(one, sources));
        // One after another, so that requests get their turn in between.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await keepRefusedRequests(store, requests);
    } catch (error) {
      for (const { name, leftOut: before } of batch) leftOut.set(name, (leftOut.get(name) ?? 0) + before + 1);
      sayLost(() => log.warn({ err: error }, "refused requests could not be kept: they are in the log alone"));
    }
  }

  return {
    note(name, configured, refusal) {
      if (limit.waitMs(name) > 0 || limitOfAll.waitMs("") > 0 || waiting.length >= MAX_WAITING) {
        leftOut.set(name, (leftOut.get(name) ?? 0) + 1);
        return;
      }
      limit.spend(name);
      limitOfAll.spend("");
      const before = leftOut.get(name) ?? 0;
      leftOut.delete(name);
      const { body } = refusal;
      waiting.push({
        name,
        configured,
        refusal: body !== null && body.length > EXPLAINED_BYTES ? { ...refusal, body: null } : refusal,
        bodyBytes: body?.length ?? null,
        bodySha256: body === null ? null : hash("sha256", body, "hex"),
        at: performance.now(),
        now: wallClockMs(),
        leftOut: before,
      });
      timer ??= setTimeout(() => void detached(flush), WRITE_AFTER_MS).unref();
    },
  };
}

async function toRefusedRequest(
  { name, configured, refusal, bodyBytes, bodySha256, at, now, leftOut }: Waiting,
  sources: ReadonlyMap<string, ConfiguredSource>,
): Promise<RefusedRequest> {
  const { source, live } = configured;
  const { body, reason } = refusal;
  const headers = new Map<string, string>();
  const header = (wanted: string): string | undefined => {
    const value = refusal.header(wanted);
    if (value !== undefined && !NEVER_KEPT.has(wanted)) headers.set(wanted, shorten(value));
    return value;
  };
  // What it asks for is what it needs.
  source.verify({ header, body: body ?? Buffer.alloc(0), url: refusal.url }, live.secrets.signing, now);
  header("content-type");
  if (reason === "content-encoding") header("content-encoding");
  const keepsBody = source.keepsRefusedBodies && body !== null;
  return {
    source: name,
    agoMs: performance.now() - at,
    reason,
    status: refusal.status,
    address: refusal.address.slice(0, 64),
    method: refusal.method,
    path: withoutValues(refusal.url).slice(0, 500),
    headers: Object.fromEntries(headers),
    findings: await explain(name, configured, { ...refusal, bodyBytes }, now, sources),
    bodyBytes,
    bodySha256,
    body: keepsBody ? body : null,
    leftOut,
  };
}

async function explain(
  name: string,
  configured: ConfiguredSource,
  { reason, body, bodyBytes, url, header, headerNames }: Refusal & { readonly bodyBytes: number | null },
  now: number,
  sources: ReadonlyMap<string, ConfiguredSource>,
): Promise<readonly string[]> {
  if (reason === "too-large") {
    return [
      `the body is larger than ${configured.maxBodyBytes} bytes: raise maxBodyBytes of source ${name}, or MAX_BODY_BYTES`,
    ];
  }
  if (reason === "verify-token") {
    return [
      `the verify token is not one of those in ${configured.named.verifyTokensFrom}: enter one of them at the provider`,
    ];
  }
  if (body === null && bodyBytes !== null) {
    return [
      `the body has ${bodyBytes} bytes, which is too long to be looked into here: save the request and ask \`penstock sources verify ${name}\``,
    ];
  }
  // Loaded when the first request is refused: most never need it.
  const { explainVerification } = await import("@penstock/sources/explain");
  const headers = new Map(headerNames.flatMap((one) => [[one, header(one) ?? ""]]));
  const request: SavedRequest = { url, headers, body: body ?? Buffer.alloc(0) };
  const others = [...sources].filter(([other]) => other !== name).map(([, other]) => withSecrets(other));
  return explainVerification(withSecrets(configured), request, now, others).findings;
}

function withSecrets({ named, live }: ConfiguredSource): SourceWithSecrets {
  return { ...named, secretsFrom: `${named.secretsFrom} and the database`, secrets: live.secrets.signing };
}

function shorten(value: string): string {
  return value.length <= MAX_VALUE_LENGTH ? value : `${value.slice(0, MAX_VALUE_LENGTH)}…`;
}

/** A path with the names of its query: a token may stand in a value. */
function withoutValues(url: string): string {
  const [path = "", query] = url.split(/\?(.*)/s);
  if (query === undefined) return path;
  return `${path}?${query
    .split("&")
    .map((pair) => pair.replace(/=.*/s, "=…"))
    .join("&")}`;
}
