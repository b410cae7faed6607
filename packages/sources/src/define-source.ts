import { checkStored, type Schema } from "./check-stored.ts";
import { type Identity, toEventIdentity } from "./identity.ts";
import { type ParsedBody, parseJsonBody, toObject } from "./parse-body.ts";
import type { Reconciliation } from "./reconciliation.ts";
import { readOptions, type SourceOptions, type SourceSettings } from "./source-options.ts";

/**
 * Whether a request is signed by one of the live secrets, and if not, why. The reason is for logs and counters: what a
 * sender is told must not depend on it. `secretIndex` is the place, in the list that was passed, of the secret that
 * matched, so that the end of a rotation can be seen. `timestamp-out-of-tolerance` is said of a right signature only.
 */
export type Verification =
  | {
      readonly ok: true;
      readonly secretIndex: number;
      /** The time that the signature covers, in milliseconds since 1970; left out where it covers none. */
      readonly signedAt?: number;
    }
  | {
      readonly ok: false;
      readonly reason:
        | "missing-signature"
        | "malformed-signature"
        | "mismatch"
        | "timestamp-out-of-tolerance"
        /** `verify` threw: an error in the source's code. */
        | "verify-failed";
    };

/** What a signature can cover: a request's headers, the exact bytes of its body, and where it was sent. */
export interface SignedRequest {
  /**
   * The value of a header, `undefined` without one. Sources ask in lower case, so that `headers[name]` of node:http
   * will do; a header that was sent several times comes as one value, joined by ", ".
   */
  header(name: string): string | undefined;
  readonly body: Buffer;
  /** Path and query, as they stand in the request line. */
  readonly url: string;
}

/** A request of which nothing but its body is left. */
export function requestOfBody(body: Buffer): SignedRequest {
  return { header: () => undefined, body, url: "" };
}

/** Why the identity of an event could not be read whole. */
export type EventProblem = "not-utf8" | "not-json" | "no-envelope";

/** What is read from a request at intake: enough to deduplicate, sort and find an event, without judging its shape. */
export interface EventIdentity {
  /** The provider's id of the event as sent, of any length and with any characters; `null`: none. */
  readonly id: string | null;
  /** The event's type, with the provider in front; `null`: none that Postgres can store, of 1 to 256 characters. */
  readonly type: string | null;
  /** When the provider says it happened; `null`: not said, or not a time in the years 1 to 9999. */
  readonly createdAt: Date | null;
  /** Whether the provider gave a time that cannot be read, so that `createdAt` is `null`. */
  readonly timeUnread: boolean;
  /**
   * Ids of what the event is about, the one to sort and to lane by first. Each has 1 to 256 characters that Postgres
   * can store.
   */
  readonly subjects: readonly string[];
  /** `null`: id and type are both there, and the body can be read. */
  readonly problem: EventProblem | null;
}

/** What is left of a request once it is stored. */
export interface StoredContent {
  readonly body: Buffer;
  /** The id that `identify` found, cut to 256 characters and cleaned for display. */
  readonly eventId: string | null;
  /** With the provider in front. */
  readonly type: string | null;
  readonly createdAt: Date | null;
}

/** An event as its source understands it. */
export interface CheckedEvent {
  readonly id: string;
  readonly type: string;
  /** Text is in a form that `parseCreatedAt` reads; `null`: not said. */
  readonly createdAt: Date | string | null;
  readonly data: unknown;
}

/** Whether an event is one that handlers understand. `detail` names paths and rules, never values. */
export type EventCheck =
  | {
      readonly ok: true;
      readonly event: CheckedEvent;
      /** The exact JSON text of `data` as it was sent; left out where that is not the whole body's JSON. */
      readonly json?: Buffer;
    }
  | { readonly ok: false; readonly reason: "unknown-type" | "invalid-shape"; readonly detail: string };

/** A request by which a provider asks whether the URL is ours, before or beside its events. */
export interface HandshakeRequest extends SignedRequest {
  readonly method: "GET" | "HEAD" | "POST";
  /** Whether `verify` has accepted the request. A GET or a HEAD is never verified: its body is empty. */
  readonly verified: boolean;
}

/** What a handshake can be judged or answered by. */
export interface HandshakeSecrets {
  /** The live signing secrets, newest first. */
  readonly signing: readonly string[];
  /** The live verify tokens, newest first; none where the source asks for none. */
  readonly verifyTokens: readonly string[];
}

/** What a provider wants to read in return for a request that is no event. */
export interface HandshakeAnswer {
  /** 200 unless given. */
  readonly status?: 200 | 204;
  readonly contentType: string;
  readonly body: string;
}

/**
 * What becomes of a request that may be a handshake. `"refused"`: it is one, with a wrong verify token, and gets 403.
 * `null`: it is none.
 */
export type Handshake = HandshakeAnswer | "refused" | null;

/**
 * A source as it is configured: how its provider signs, names and shapes its events, and what is set for this one. Its
 * functions are pure functions of their arguments: no I/O, no clock, no state that can be seen. One exception: an id may be
 * random where the provider tells nothing that tells events apart.
 */
export interface Source extends SourceSettings {
  /** The provider's name: lower-case letters, digits and hyphens. */
  readonly provider: string;
  /** What stands in front of each type, e.g. `acme.`; `null`: nothing, and there are no types but `eventTypes`. */
  readonly typePrefix: string | null;
  /**
   * Whether each body is an envelope with id, type, createdAt and data, which endpoints get byte for byte; any other body
   * they get inside of such an envelope.
   */
  readonly sendsEnvelope: boolean;
  /**
   * The header of the provider's own plain signature, a hexadecimal HMAC-SHA256 of the body: what is forwarded carries one,
   * too, for receivers that know the provider. `null`: Standard Webhooks alone.
   */
  readonly plainSignatureHeader: string | null;
  /** The types that it knows. What anybody sends can be told by these alone in labels, which are bounded. */
  readonly eventTypes: readonly string[];
  /**
   * Compares the signature with what each secret would make of the request, in constant time and always with all of
   * them. No secret, or an empty one, never matches. `now` is the time in milliseconds that a timestamp is judged by.
   * Never throws.
   */
  verify(request: SignedRequest, secrets: readonly string[], now: number): Verification;
  /**
   * The headers that the provider would send with a body, signed with this secret at this time in milliseconds: for trying
   * things out. `null`: requests of this provider cannot be made here.
   */
  readonly sign: ((body: Buffer, secret: string, now: number) => Readonly<Record<string, string>>) | null;
  /** Whether `sign` covers the time, so that a request that is too old is refused. */
  readonly signsTime: boolean;
  /** Reads what intake needs from a verified request. Never throws, whatever the bytes are. */
  identify(request: SignedRequest): EventIdentity;
  /** What an event that was accepted is answered with: 204 has no body. */
  readonly acceptedStatus: 200 | 204;
  /** Whether the source has verify tokens beside its signing secrets: see `HandshakeSecrets`. */
  readonly hasVerifyToken: boolean;
  /**
   * What becomes of a request that may only ask whether we are there; `null` without handshakes. It is asked about each GET
   * and HEAD, each verified POST, and each POST that `verify` refused. Never throws.
   */
  readonly handshake: ((request: HandshakeRequest, secrets: HandshakeSecrets) => Handshake) | null;
  /**
   * The bodies of the events in a verified request, in order, where one request can carry several; the request's own body
   * where it carries one. `null`: each request is one event. Never throws.
   */
  readonly split: ((request: SignedRequest) => readonly Buffer[]) | null;
  /** Parses a stored body and checks it against the schema of its type, where there is one. Never throws. */
  check(stored: StoredContent): EventCheck;
  /** What is wrong with the form of a secret, in words that follow "the secret", or `null`. Never tells of its value. */
  checkSecret(secret: string): string | null;
  /** Where to look once it sends nothing any more, and what the provider may have done, in a sentence; `null`: not known. */
  readonly whenSilent: string | null;
  /** How its provider is asked for what it has sent; `null`: it has no such list, or none that is known here. */
  readonly reconcile: Reconciliation | null;
}

/** What a source of one's own says of its provider. */
export interface SourceDefinition {
  /** Lower-case letters, digits and hyphens. It stands in front of the types of its events: `acme.order.paid`. */
  readonly provider: string;
  /** Whether a request is signed with one of the secrets; `verifyHmac` does most of it. */
  verify(request: SignedRequest, secrets: readonly string[], now: number): Verification;
  /** The headers that the provider would send with a body, signed with this secret at this time in milliseconds. */
  sign?(body: Buffer, secret: string, now: number): Readonly<Record<string, string>>;
  /** Whether the signature covers the time. */
  readonly signsTime?: boolean;
  /**
   * What the event is, in the provider's own words, from a verified request; `data` is its body as parsed, `{}` where
   * that is no object. Anything may be handed back as it was found: it is checked. One that has no id is deduplicated by
   * its body, and goes to quarantine.
   */
  identify(request: SignedRequest, data: Readonly<Record<string, unknown>>): Identity;
  /**
   * Answers a request that is no event, e.g. a provider's first one; `null` where it is one. It may be a GET, a HEAD or an
   * unsigned POST: answer only what the provider documents, and what asks to be answered with a secret only when it is
   * `verified`. `data` is the parsed body of a verified request, `{}` of any other, or where it is no object.
   */
  handshake?(request: HandshakeRequest, data: Readonly<Record<string, unknown>>, secrets: HandshakeSecrets): Handshake;
  /** Whether the provider changes the body from one delivery of an event to the next, e.g. counts them in it. */
  readonly bodyVaries?: boolean;
  /** What the provider wants an event to be answered with; 200 unless given. */
  readonly acceptedStatus?: 200 | 204;
  /** Whether operators have to set a verify token (`META_VERIFY_TOKENS`), by which `handshake` knows the provider. */
  readonly hasVerifyToken?: boolean;
  /**
   * Headers that say something of a delivery, e.g. its number of tries: kept with each event beside `user-agent` and
   * `content-type`, for operators to look at. None that holds a signature, a cookie or another secret.
   */
  readonly keepsHeaders?: readonly string[];
  /**
   * The bodies of the events in a request that carries several; each is then identified, stored and checked as if it had
   * been sent alone, with the headers and the URL of the request. Made of exact bytes: see `sliceJson`. None, or a
   * throw, keeps the request whole.
   */
  split?(request: SignedRequest): readonly Buffer[];
  /** Reads a body; as JSON unless given. What it returns as `json`, endpoints get byte for byte. */
  parse?(body: Buffer): ParsedBody;
  /** Schemas of some types (zod's, or any other Standard Schema), by the provider's own names for them. */
  readonly schemas?: Readonly<Record<string, Schema>>;
  /** Further types to count by name, in the provider's own words. All can be received, the others count as `other`. */
  readonly types?: readonly string[];
  /** What is wrong with a secret, in words that follow "the secret", or `null`. */
  checkSecret?(secret: string): string | null;
  /** Where to look once it sends nothing any more: a sentence for operators, with what makes the provider stop. */
  readonly whenSilent?: string;
  /** How the provider is asked for what it has sent, where it has an API for that: `penstock reconcile` finds what was missed. */
  readonly reconcile?: Reconciliation;
  /** The names of options besides those of every source, and what is wrong with what was given. */
  readonly options?: readonly string[];
  readonly problems?: readonly string[];
}

const PROVIDER = /^[a-z][a-z0-9-]{0,62}$/;

const VERIFY_FAILED: Verification = Object.freeze({ ok: false, reason: "verify-failed" });

/**
 * Declares a source of a provider, with the options that are given for one instance of it. Problems of options are kept
 * and told at the start, together with those of all other sources.
 *
 * @throws {TypeError} when the provider's name cannot stand in front of a type.
 * @example
 * export const acme = (options?: SourceOptions): Source =>
 *   defineSource(
 *     {
 *       provider: "acme",
 *       verify: (request, secrets) =>
 *         verifyHmac({ signatures: [request.header("x-acme-signature")], content: [request.body] }, secrets),
 *       identify: (_request, data) => ({ id: data["id"], type: data["type"], createdAt: data["createdAt"] }),
 *     },
 *     options,
 *   );
 */
export function defineSource(definition: SourceDefinition, options: SourceOptions = {}): Source {
  const { provider, handshake, split, schemas = {} } = definition;
  if (!isProvider(provider)) {
    throw new TypeError("A source's provider must be 1 to 63 lower-case letters, digits and hyphens, a letter first");
  }
  const prefix = `${provider}.`;
  const parse = (body: Buffer): ParsedBody => {
    try {
      return (definition.parse ?? parseJsonBody)(body);
    } catch {
      return { ok: false, problem: "not-json" };
    }
  };
  return Object.freeze({
    provider,
    typePrefix: prefix,
    sendsEnvelope: false,
    plainSignatureHeader: null,
    eventTypes: Object.freeze([...Object.keys(schemas), ...(definition.types ?? [])].map((type) => prefix + type)),
    ...readOptions(options, definition),
    verify(request: SignedRequest, secrets: readonly string[], now: number) {
      try {
        return definition.verify(request, secrets, now);
      } catch {
        return VERIFY_FAILED;
      }
    },
    sign: definition.sign?.bind(definition) ?? null,
    signsTime: definition.signsTime ?? false,
    identify: (request: SignedRequest) =>
      toEventIdentity(prefix, parse(request.body), (data) => definition.identify(request, data)),
    acceptedStatus: definition.acceptedStatus ?? 200,
    hasVerifyToken: definition.hasVerifyToken ?? false,
    handshake: handshake
      ? (request: HandshakeRequest, secrets: HandshakeSecrets) => {
          try {
            // Nothing is parsed that is not signed.
            const data = request.verified ? toObject(parse(request.body)) : {};
            return handshake.call(definition, request, data, secrets);
          } catch {
            // A verified request is then stored, and identify says what it is.
            return null;
          }
        }
      : null,
    split: split
      ? (request: SignedRequest) => {
          try {
            const bodies = split.call(definition, request);
            return bodies.length === 0 ? [request.body] : bodies;
          } catch {
            return [request.body];
          }
        }
      : null,
    check: (stored: StoredContent) => checkStored(stored, prefix, parse(stored.body), schemas),
    checkSecret: (secret: string) => definition.checkSecret?.(secret) ?? null,
    whenSilent: definition.whenSilent ?? null,
    reconcile: definition.reconcile ?? null,
  });
}

/** Whether a text can be the name of a provider. */
export function isProvider(text: unknown): text is string {
  return typeof text === "string" && PROVIDER.test(text);
}
