import { EventEmitter } from "node:events";
import { isIP } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { type Guard, type Refusal, RefusedAddressError, type Rule } from "./guard.ts";
import { printable } from "./printable.ts";
import { readLeniently } from "./read-leniently.ts";

/** What came of one POST. */
export type Answer =
  | {
      readonly answered: true;
      readonly status: number;
      /** The beginning of the body: at most 1,000 characters, what cannot be seen escaped. */
      readonly body: string;
      /** What Retry-After asks for, whatever the status; `null` without one that can be read. */
      readonly retryAfterMs: number | null;
      readonly durationMs: number;
    }
  | {
      readonly answered: false;
      /**
       * TIMEOUT, ABORTED, REFUSED_ADDRESS, or the system's or the protocol's own: ECONNREFUSED, ECONNRESET, ENOTFOUND,
       * CERT_HAS_EXPIRED, INVALID_RESPONSE …
       */
      readonly code: string;
      /** Of the guard's that was broken, with REFUSED_ADDRESS. */
      readonly rule?: Rule;
      readonly message: string;
      readonly durationMs: number;
    };

export interface Post {
  readonly url: string;
  /** Besides `content-type` (JSON), `content-length`, `host` and `user-agent`, which are set here. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** For the whole exchange: name, connection, request, and the answer's body. 10,000 unless given. */
  readonly timeoutMs?: number;
  /** Gives the POST up: it is ABORTED. */
  readonly signal?: AbortSignal;
}

export interface SenderOptions {
  readonly guard: Guard;
  /**
   * Connections to one origin at most, 64 unless given. By HTTP/1.1 each carries one request at a time; what comes on top
   * waits, in its own time.
   */
  readonly connectionsPerOrigin?: number;
  readonly userAgent?: string;
  /** How long a connection without requests is kept, 4,000 unless given. Servers close idle ones after 5 s and more. */
  readonly keepAliveMs?: number;
  /** Certificates (PEM) of the authorities to trust in place of Node's, which NODE_EXTRA_CA_CERTS adds to. */
  readonly ca?: readonly string[];
}

export interface Sender {
  /** Sends one request. Never rejects, follows no redirect, and asks the guard about the URL and each connection. */
  post(post: Post): Promise<Answer>;
  /** Resolves once what is under way has ended. What is posted from then on is not sent. */
  close(): Promise<void>;
}

/** So many URLs are judged once and not at each POST. */
const MOST_JUDGED = 1_000;
const MAX_BODY_BYTES = 65_536;
const MAX_BODY_LENGTH = 1_000;
const MAX_MESSAGE_LENGTH = 500;
const CONNECT_TIMEOUT_MS = 10_000;

/** Whether a status says that an event was taken. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Where a request goes. */
interface Target {
  readonly origin: string;
  readonly path: string;
}

/**
 * Sends by HTTP/2 where it is offered, else by HTTP/1.1, over connections that are kept and used again. Certificates are
 * verified, whatever NODE_TLS_REJECT_UNAUTHORIZED says. No proxy is asked, whatever the environment says.
 */
export function createSender({
  guard,
  connectionsPerOrigin = 64,
  userAgent = "Penstock",
  keepAliveMs = 4_000,
  ca,
}: SenderOptions): Sender {
  const agent = new Agent({
    connections: connectionsPerOrigin,
    allowH2: true,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    connect: createConnector(guard, ca),
    // A connection that is dead without a word is noticed by its pings, not by the requests that time out on it.
    h2Options: { pingInterval: 10_000 },
  });
  // The guard's word on a URL hangs on nothing but its text: where it leads is judged at each connection.
  const judged = new Map<string, Target | Refusal>();
  const ownHeaders = { "content-type": "application/json", "user-agent": userAgent };

  function judge(url: string): Target | Refusal {
    const known = judged.get(url);
    if (known !== undefined) return known;
    const checked = guard.checkUrl(url);
    const found = checked.ok
      ? { origin: checked.url.origin, path: checked.url.pathname + checked.url.search }
      : { rule: checked.rule, message: checked.message };
    if (judged.size === MOST_JUDGED) judged.clear();
    judged.set(url, found);
    return found;
  }

  function post({ url, headers, body, timeoutMs = 10_000, signal }: Post): Promise<Answer> {
    const startedAt = performance.now();
    const durationMs = (): number => Math.round(performance.now() - startedAt);
    const target = judge(url);
    if ("rule" in target) {
      const { rule, message } = target;
      return Promise.resolve({ answered: false, code: "REFUSED_ADDRESS", rule, message, durationMs: durationMs() });
    }
    return new Promise((resolve) => {
      // undici takes an emitter in place of an AbortSignal, which costs a multiple.
      const stop = new EventEmitter();
      let settled = false;
      const settle = (answer: Answer): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        resolve(answer);
      };
      // Settled before it is stopped: what undici reports then depends on how far the exchange had come. A request that
      // still waits for a connection is taken out of undici's queue by this, and never sent.
      const giveUp = (code: string, message: string): void => {
        settle({ answered: false, code, message, durationMs: durationMs() });
        stop.emit("abort");
      };
      const abort = (): void => giveUp("ABORTED", "Given up before there was an answer.");
      const timer = setTimeout(giveUp, timeoutMs, "TIMEOUT", `No complete answer within ${timeoutMs} ms.`);
      if (signal?.aborted) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort);
      const fail = (error: unknown): void => settle({ answered: false, ...describe(error), durationMs: durationMs() });

      agent.request(
        {
          ...target,
          method: "POST",
          headers: { ...ownHeaders, ...headers },
          body,
          signal: stop,
          // The timer above is the limit. Theirs count from byte to byte, so that an answer could drip for ever.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        (error, response) => {
          if (error) fail(error);
          else {
            readBeginning(response, fail, (text) =>
              settle({
                answered: true,
                status: response.statusCode,
                body: text,
                // eslint-disable-next-line no-restricted-properties -- Retry-After can be a date
                retryAfterMs: parseRetryAfter(response.headers["retry-after"], Date.now()),
                durationMs: durationMs(),
              }),
            );
          }
        },
      );
    });
  }

  return { post, close: () => agent.close() };
}

/** Connects to addresses that the guard has judged, and to no others. */
function createConnector(guard: Guard, ca: readonly string[] | undefined): buildConnector.connector {
  const options = {
    allowH2: true,
    preferH2: true,
    timeout: CONNECT_TIMEOUT_MS,
    rejectUnauthorized: true,
    // Node's 250 ms per address would give up all addresses of a host that is far away but the last.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
    ...(ca && { ca: [...ca] }),
  } as const;
  const connectPublic = buildConnector({ ...options, lookup: guard.lookup } as buildConnector.BuildOptions);
  const connectAllowed = buildConnector({ ...options, lookup: guard.lookupAllowed } as buildConnector.BuildOptions);
  return (target, callback) => {
    const allowedOnly = guard.needsAllowed(target.protocol, target.port);
    if (isIP(target.hostname) !== 0) {
      const judged = guard.checkAddress(target.hostname, allowedOnly);
      if (!judged.ok) {
        callback(new RefusedAddressError(judged), null);
        return;
      }
    }
    // What it returns is the socket, by which undici gives up a connection that nobody waits for any more.
    return (allowedOnly ? connectAllowed : connectPublic)(target, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      if (!("alpnProtocol" in socket) || socket.alpnProtocol !== "h2") readLeniently(socket);
      callback(null, socket);
    });
  };
}

/** Reads a body up to its limit and drops the connection there. One that is compressed is not inflated. */
function readBeginning(
  { body, headers }: Dispatcher.ResponseData,
  fail: (error: unknown) => void,
  done: (text: string) => void,
): void {
  const encoding = headers["content-encoding"];
  const chunks: Buffer[] = [];
  let bytes = 0;
  const finish = (): void => {
    if (encoding !== undefined && encoding !== "identity" && bytes > 0) {
      done(printable(`(a body in content-encoding ${String(encoding)})`, MAX_BODY_LENGTH));
      return;
    }
    // No character has more than four bytes.
    const beginning = Buffer.concat(chunks).subarray(0, 4 * MAX_BODY_LENGTH);
    done(printable(beginning.toString("utf8"), MAX_BODY_LENGTH));
  };
  body.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes - chunk.length < 4 * MAX_BODY_LENGTH) chunks.push(chunk);
    if (bytes > MAX_BODY_BYTES) {
      finish();
      body.destroy();
    }
  });
  body.on("end", finish);
  body.on("error", fail);
}

const IMF_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Seconds, or a date; never less than 0. */
function parseRetryAfter(header: string | string[] | undefined, now: number): number | null {
  const value = (Array.isArray(header) ? header[0] : header)?.trim() ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const date = IMF_DATE.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** What undici calls by names of its own, as what it is. */
const CODES: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: "TIMEOUT",
  UND_ERR_HEADERS_TIMEOUT: "TIMEOUT",
  UND_ERR_SOCKET: "ECONNRESET", // "other side closed"
  UND_ERR_INFO: "ECONNRESET", // a session that ended
  UND_ERR_CLOSED: "CLOSED",
  UND_ERR_DESTROYED: "CLOSED",
};

function describe(error: unknown): { code: string; message: string; rule?: Rule } {
  const {
    name,
    code = name === "HTTPParserError" ? "INVALID_RESPONSE" : "UNKNOWN",
    message,
    reason,
    rule,
    errors: [first] = [],
  } = error as NodeJS.ErrnoException & { reason?: string; rule?: Rule; errors?: readonly Error[] };
  const known = CODES[code] ?? code;
  return {
    code: known,
    // OpenSSL's message holds lines of its source, `reason` is what it means. Names in a certificate are anybody's text.
    // Where a name leads to several addresses, each has failed, and their sum has no words of its own.
    message: printable(reason || message || first?.message || known, MAX_MESSAGE_LENGTH),
    ...(rule && { rule }),
  };
}
