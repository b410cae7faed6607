import type { Arrival, Intake, RefusedWriter, VerifiedEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import {
  type HandshakeRequest,
  isEncoded,
  readRequestTarget,
  type SignedRequest,
  type Source,
} from "@penstock/sources";
import { activeSpan, instruments, type Logger, onceInAWhile, receivedTraceparent } from "@penstock/telemetry";
import type { Request, Response } from "express";
import type { BodyMemory } from "./body-memory.ts";
import type { ConfiguredSource, LiveSecrets } from "./configured-source.ts";
import { problems, sendProblem, writeProblem } from "./problem.ts";
import type { RateLimit } from "./rate-limit.ts";
import { endLingering, readBody } from "./read-body.ts";
import type { RefusalLog } from "./refusal-log.ts";
import { toArrival } from "./to-arrival.ts";

export interface WebhookRouteOptions {
  readonly intake: Intake;
  /** Keeps what intake could not take; null: it is up to the sender alone to send it again. */
  readonly keptRefused: Pick<RefusedWriter, "keep"> | null;
  readonly findSource: (name: string) => ConfiguredSource | undefined;
  /** Refused requests per client address. */
  readonly addressLimit: RateLimit;
  /** The client's address, by the proxies that are trusted. */
  readonly addressOf: (req: Request) => string;
  readonly isClosing: () => boolean;
  readonly refusals: RefusalLog;
  readonly bodyMemory: BodyMemory;
  readonly log: Logger;
}

/** A request whose body has been read. */
interface ReceivedBody {
  readonly name: string;
  readonly configured: ConfiguredSource;
  readonly request: Omit<SignedRequest, "body">;
  readonly body: Buffer;
  readonly arrivedAt: number;
}

// Text, not a Buffer: Node then writes it together with the headers, as one string.
const ACCEPTED = '{"status":"accepted"}';
const ACCEPTED_HEADERS = { "content-type": "application/json", "content-length": ACCEPTED.length };
const LAST_ACCEPTED_HEADERS = { ...ACCEPTED_HEADERS, connection: "close" };
const RETRY_SOON = { "retry-after": "5" };
const NOT_WANTED = { ...RETRY_SOON, connection: "close" };
const NO_BODY = Buffer.alloc(0);

/**
 * `POST /webhooks/:source`: limits → raw bytes → verify → accept → 200. Nothing is stored that was not signed. A handshake
 * is answered and not stored: a verified one, and where a source has such, a GET, a HEAD or an unsigned POST.
 */
export function createWebhookRoute(options: WebhookRouteOptions): (req: Request, res: Response) => Promise<void> {
  const { intake, keptRefused, findSource, addressLimit, addressOf, isClosing, refusals, bodyMemory, log } = options;
  const sayUnreadTime = new Map<string, ReturnType<typeof onceInAWhile>>();

  return async function receiveWebhook(req, res) {
    const arrivedAt = performance.now();
    // First of all: whoever is over it is not worth a log line either.
    const waitMs = addressLimit.waitMs(addressOf(req));
    if (waitMs > 0) return turnAway(req, res, "tooManyRequests", "address-rate", { "retry-after": seconds(waitMs) });
    const name = String(req.params["source"]);
    const configured = findSource(name);
    if (configured === undefined) return refuse(req, res, "notFound", "unknown-source");
    const { source, live } = configured;
    const request = toRequest(req);
    if (req.method !== "POST") {
      const { method } = req;
      const asks = (method === "GET" || method === "HEAD") && source.handshake !== null;
      if (asks && shakeHands(configured, live, { ...request, method, verified: false, body: NO_BODY }, req, res))
        return;
      return turnAway(req, res, "methodNotAllowed", "method", { allow: "POST" });
    }
    if (isClosing()) return turnAway(req, res, "unavailable", "stopping", NOT_WANTED);
    if (isEncoded(req.headers["content-encoding"])) return refuse(req, res, "encodedBody", "content-encoding");

    const held = bodyMemory.hold();
    try {
      const reading = await readBody(req, configured.maxBodyBytes, held);
      if (reading.ok) await receiveBody(req, res, { name, configured, request, body: reading.body, arrivedAt });
      else refuseUnread(req, res, reading.reason);
    } finally {
      held.release();
    }
  };

  async function receiveBody(
    req: Request,
    res: Response,
    { name, configured, request, body, arrivedAt }: ReceivedBody,
  ): Promise<void> {
    const { source, live, limit, activity } = configured;
    const signed: SignedRequest = { ...request, body };
    const now = wallClockMs();
    const verification = source.verify(signed, live.secrets.signing, now);
    if (!verification.ok) {
      if (shakeHands(configured, live, { ...signed, method: "POST", verified: false }, req, res)) return;
      return refuse(req, res, "unauthorized", verification.reason, body);
    }
    live.usedAt[verification.secretIndex] = arrivedAt;
    const sourceWaitMs = limit.waitMs(name);
    if (sourceWaitMs > 0)
      return turnAway(req, res, "tooManyRequests", "source-rate", { "retry-after": seconds(sourceWaitMs) });
    limit.spend(name);
    if (shakeHands(configured, live, { ...signed, method: "POST", verified: true }, req, res)) return;

    if (verification.secretIndex > 0)
      log.debug({ source: name, secretIndex: verification.secretIndex }, "older secret");
    const arrival = toArrival(configured, live, signed, verification, now);
    try {
      if (source.split === null) await acceptEvent(source, name, signed, arrival);
      // All or none are acknowledged: of a request that is sent again the events already stored are duplicates.
      else {
        const parts = source.split(signed);
        const ends = await Promise.allSettled(
          parts.map((part) => acceptEvent(source, name, { ...signed, body: part }, arrival)),
        );
        // By then all parts that were not stored are kept on disk, where that is on.
        for (const end of ends) if (end.status === "rejected") throw end.reason;
      }
    } catch {
      return turnAway(req, res, "unavailable", "unavailable", RETRY_SOON);
    }
    activity.eventAt = arrivedAt;
    activity.accepted++;
    if (source.acceptedStatus === 204) res.writeHead(204, isClosing() ? { connection: "close" } : {}).end();
    else res.writeHead(200, isClosing() ? LAST_ACCEPTED_HEADERS : ACCEPTED_HEADERS).end(ACCEPTED);
    instruments.acknowledgement().record((performance.now() - arrivedAt) / 1_000);
  }

  /** Answers a request whose body was not read to its end. */
  function refuseUnread(req: Request, res: Response, reason: "too-large" | "body-memory" | "aborted"): void {
    if (reason === "too-large") {
      recordRefusal(req, "tooLarge", reason, null);
      writeProblem(res, problems.tooLarge, { connection: "close" });
      return endLingering(req, res);
    }
    count(req, reason);
    if (reason === "aborted") return;
    writeProblem(res, problems.unavailable, NOT_WANTED);
    endLingering(req, res);
  }

  /** Resolves once the event is committed. @throws IntakeUnavailableError */
  async function acceptEvent(
    source: Source,
    name: string,
    signed: SignedRequest,
    arrival: Arrival | null,
  ): Promise<void> {
    const identity = source.identify(signed);
    const { id, type } = identity;
    if (identity.timeUnread) warnOfTime(name, id);
    const event: VerifiedEvent = {
      source: name,
      identity,
      body: signed.body,
      bodyVaries: source.bodyVaries,
      traceparent: receivedTraceparent(signed.header("traceparent")),
      arrival,
    };
    try {
      await intake.accept(event);
    } catch (error) {
      log.debug({ source: name, eventId: id, err: error }, "event not accepted");
      await keptRefused?.keep(event);
      throw error;
    }
    log.debug({ source: name, eventId: id, type }, "event accepted");
    // Any type can be sent, and a label must not have any value.
    const known = source.eventTypes.find((one) => one === type) ?? "other";
    instruments.accepted().add(1, { source: name, type: known });
  }

  function warnOfTime(name: string, id: string | null): void {
    let say = sayUnreadTime.get(name);
    if (say === undefined) sayUnreadTime.set(name, (say = onceInAWhile()));
    say(() => {
      log.warn(
        { source: name, eventId: id?.slice(0, 256) ?? null },
        "the time that the provider sent with this event and perhaps with others could not be read, so lanes order them by their arrival: it must be a number, or have a zone; hmac() and sources of your own say by `createdAt` where it stands",
      );
    });
  }

  /** Answers a request that is a handshake, and returns whether it was one. */
  function shakeHands(
    { source }: ConfiguredSource,
    { secrets }: LiveSecrets,
    request: HandshakeRequest,
    req: Request,
    res: Response,
  ): boolean {
    const handshake = source.handshake?.(request, secrets) ?? null;
    if (handshake === null) return false;
    if (handshake === "refused") {
      refuse(req, res, "wrongVerifyToken", "verify-token", request.body);
      return true;
    }
    // Anybody can send one that is not signed, as often as its address may be refused.
    if (!request.verified) addressLimit.spend(addressOf(req));
    const body = Buffer.from(handshake.body);
    const { status = 200, contentType } = handshake;
    res.writeHead(status, {
      "content-type": contentType,
      // What a stranger has sent may stand in the body: no browser is to take it for a page.
      "x-content-type-options": "nosniff",
      ...(status !== 204 && { "content-length": body.length }),
    });
    res.end(status === 204 ? undefined : body);
    log.info({ source: String(req.params["source"]), method: request.method }, "handshake answered");
    return true;
  }

  /** Refuses what says nothing of the sender: it is counted, and neither logged nor held against its address. */
  function turnAway(
    req: Request,
    res: Response,
    problem: keyof typeof problems,
    reason: string,
    headers: Readonly<Record<string, string>>,
  ): void {
    count(req, reason);
    sendProblem(res, problems[problem], headers);
  }

  function refuse(
    req: Request,
    res: Response,
    problem: keyof typeof problems,
    reason: string,
    body: Buffer | null = null,
  ): void {
    recordRefusal(req, problem, reason, body);
    sendProblem(res, problems[problem]);
  }

  function recordRefusal(req: Request, problem: keyof typeof problems, reason: string, body: Buffer | null): void {
    count(req, reason);
    const name = String(req.params["source"]);
    const address = addressOf(req);
    addressLimit.spend(address);
    log.warn({ reason, status: problems[problem].status, source: name.slice(0, 64), address }, "request refused");
    const configured = findSource(name);
    if (configured === undefined) return;
    configured.activity.refusedAt = performance.now();
    configured.activity.refused++;
    const { method, headers } = req;
    const { url, header } = toRequest(req);
    const { status } = problems[problem];
    refusals.note(name, configured, {
      reason,
      status,
      address,
      method,
      url,
      header,
      headerNames: Object.keys(headers),
      body,
    });
  }

  function count(req: Request, reason: string): void {
    const name = String(req.params["source"]);
    instruments.refused().add(1, { source: findSource(name) === undefined ? "unknown" : name, reason });
    activeSpan()?.setAttribute("penstock.refused", reason);
  }
}

/** What a request was sent to, and its headers, as sources ask for them. */
function toRequest(req: Request): Omit<SignedRequest, "body"> {
  const { url, host } = readRequestTarget(req.originalUrl);
  const header = (wanted: string): string | undefined => {
    const value = wanted === "host" && host !== null ? host : req.headers[wanted];
    if (Array.isArray(value)) return value.join(", ");
    // Proxies send a header twice: what says the same says it once.
    return value?.includes(", ") ? onceIfSame(req.headersDistinct[wanted], value) : value;
  };
  return { header, url };
}

function onceIfSame(values: readonly string[] | undefined, joined: string): string {
  const [first, ...others] = values ?? [];
  return first !== undefined && others.every((other) => other === first) ? first : joined;
}

function seconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}
