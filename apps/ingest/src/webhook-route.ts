import type { AcceptOutcome, Intake } from "@penstock/intake";
import type { SignedRequest, Source } from "@penstock/sources";
import { activeSpan, instruments, isTraceparent, type Logger } from "@penstock/telemetry";
import type { Request, Response } from "express";
import { problems, sendProblem, writeProblem } from "./problem.ts";
import type { RateLimit } from "./rate-limit.ts";
import { endLingering, readBody } from "./read-body.ts";

/** A sender that is known here: how it signs, with which secrets, and what it may send. */
export interface ConfiguredSource {
  readonly source: Source;
  readonly secrets: readonly string[];
  readonly maxBodyBytes: number;
  /** Of accepted requests. */
  readonly limit: RateLimit;
}

export interface WebhookRouteOptions {
  readonly intake: Intake;
  readonly findSource: (name: string) => ConfiguredSource | undefined;
  /** Refused requests per client address. */
  readonly addressLimit: RateLimit;
  /** The client's address, by the proxies that are trusted. */
  readonly addressOf: (req: Request) => string;
  readonly isClosing: () => boolean;
  readonly log: Logger;
}

const ACCEPTED = Buffer.from('{"status":"accepted"}');
const ACCEPTED_HEADERS = { "content-type": "application/json", "content-length": ACCEPTED.length };
const LAST_ACCEPTED_HEADERS = { ...ACCEPTED_HEADERS, connection: "close" };
const RETRY_SOON = { "retry-after": "5" };
const NOT_WANTED = { ...RETRY_SOON, connection: "close" };

/**
 * `POST /webhooks/:source`: limits → raw bytes → verify → accept → 200. Nothing is parsed before it is verified, and
 * nothing is stored that was not signed. A handshake is answered and not stored.
 */
export function createWebhookRoute(options: WebhookRouteOptions): (req: Request, res: Response) => Promise<void> {
  const { intake, findSource, addressLimit, addressOf, isClosing, log } = options;

  return async function receiveWebhook(req, res) {
    const arrivedAt = performance.now();
    // First of all: whoever is over it is not worth a log line either.
    const waitMs = addressLimit.waitMs(addressOf(req));
    if (waitMs > 0) return turnAway(req, res, "tooManyRequests", "address-rate", { "retry-after": seconds(waitMs) });
    const name = String(req.params["source"]);
    const configured = findSource(name);
    if (configured === undefined) return refuse(req, res, "notFound", "unknown-source");
    if (req.method !== "POST") return turnAway(req, res, "methodNotAllowed", "method", { allow: "POST" });
    if (isClosing()) return turnAway(req, res, "unavailable", "stopping", NOT_WANTED);
    const encoding = req.headers["content-encoding"];
    if (encoding !== undefined && encoding.toLowerCase() !== "identity")
      return refuse(req, res, "encodedBody", "content-encoding");

    const reading = await readBody(req, configured.maxBodyBytes);
    if (!reading.ok) {
      if (reading.reason === "aborted") return count(req, "aborted");
      recordRefusal(req, "tooLarge", reading.reason);
      writeProblem(res, problems.tooLarge, { connection: "close" });
      return endLingering(req, res);
    }
    const { body } = reading;
    const { source, secrets, limit } = configured;
    const header = (wanted: string): string | undefined => {
      const value = req.headers[wanted];
      return Array.isArray(value) ? value.join(", ") : value;
    };
    const signed: SignedRequest = { header, body, url: req.originalUrl };
    const verification = source.verify(signed, secrets, Date.now());
    if (!verification.ok) return refuse(req, res, "unauthorized", verification.reason);
    const sourceWaitMs = limit.waitMs(name);
    if (sourceWaitMs > 0)
      return turnAway(req, res, "tooManyRequests", "source-rate", { "retry-after": seconds(sourceWaitMs) });
    limit.spend(name);
    if (source.handshake !== null && shakeHands(source.handshake, signed, name, res)) return;

    const identity = source.identify(signed);
    const traceparent = header("traceparent");
    let outcome: AcceptOutcome;
    try {
      outcome = await intake.accept({
        source: name,
        identity,
        body,
        traceparent: isTraceparent(traceparent) ? traceparent : null,
      });
      if (verification.secretIndex > 0)
        log.debug({ source: name, secretIndex: verification.secretIndex }, "older secret");
      log.debug({ source: name, eventId: identity.id, type: identity.type, outcome }, "event accepted");
    } catch (error) {
      log.debug({ source: name, eventId: identity.id, err: error }, "event not accepted");
      return turnAway(req, res, "unavailable", "unavailable", RETRY_SOON);
    }
    res.writeHead(200, isClosing() ? LAST_ACCEPTED_HEADERS : ACCEPTED_HEADERS).end(ACCEPTED);
    instruments.acknowledgement().record((performance.now() - arrivedAt) / 1_000);
    // Any type can be sent, and a label must not have any value.
    const type = source.eventTypes.find((known) => known === identity.type) ?? "other";
    instruments.accepted().add(1, { source: name, type, outcome });
  };

  /** Answers a signed request that is no event, and returns whether it was none. */
  function shakeHands(
    handshake: NonNullable<Source["handshake"]>,
    signed: SignedRequest,
    name: string,
    res: Response,
  ): boolean {
    const answer = handshake(signed);
    if (answer === null) return false;
    const body = Buffer.from(answer.body);
    res.writeHead(200, { "content-type": answer.contentType, "content-length": body.length }).end(body);
    log.info({ source: name }, "handshake answered");
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

  function refuse(req: Request, res: Response, problem: keyof typeof problems, reason: string): void {
    recordRefusal(req, problem, reason);
    sendProblem(res, problems[problem]);
  }

  function recordRefusal(req: Request, problem: keyof typeof problems, reason: string): void {
    count(req, reason);
    const name = String(req.params["source"]);
    const address = addressOf(req);
    addressLimit.spend(address);
    log.warn({ reason, status: problems[problem].status, source: name.slice(0, 64), address }, "request refused");
  }

  function count(req: Request, reason: string): void {
    const name = String(req.params["source"]);
    instruments.refused().add(1, { source: findSource(name) === undefined ? "unknown" : name, reason });
    activeSpan()?.setAttribute("penstock.refused", reason);
  }
}

function seconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}
