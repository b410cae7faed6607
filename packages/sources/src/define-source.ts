import type { Envelope } from "@penstock/schemas";

/**
 * Whether a request is signed by one of the live secrets, and if not, why. The reason is for logs and counters: what a
 * sender is told must not depend on it. `secretIndex` is the place, in the list that was passed, of the secret that
 * matched, so that the end of a rotation can be seen.
 */
export type Verification =
  | { readonly ok: true; readonly secretIndex: number }
  | { readonly ok: false; readonly reason: "missing-signature" | "malformed-signature" | "mismatch" };

/** What a signature covers: a request's headers and the exact bytes of its body. */
export interface SignedRequest {
  /**
   * The value of a header, `undefined` without one. Sources ask in lower case, so that `headers[name]` of node:http
   * will do; a header that was sent several times comes as one value, joined by ", ".
   */
  header(name: string): string | undefined;
  readonly body: Buffer;
}

/** Why the identity of an event could not be read whole. */
export type EventProblem = "not-utf8" | "not-json" | "no-envelope";

/** What is read from a body at intake: enough to deduplicate, sort and find an event, without judging its shape. */
export interface EventIdentity {
  /** The provider's id of the event as sent, of any length and with any characters; `null`: none that is a string. */
  readonly id: string | null;
  /** The event's type; `null`: none that is a string which Postgres can store, of 1 to 256 characters. */
  readonly type: string | null;
  /** When the provider says it happened; `null`: not said, or not a time in the years 1 to 9999. */
  readonly createdAt: Date | null;
  /**
   * Ids of what the event is about, the one to sort and to lane by first. Each has 1 to 256 characters that Postgres
   * can store.
   */
  readonly subjects: readonly string[];
  /** `null`: id and type are both there. */
  readonly problem: EventProblem | null;
}

/** Whether an event is one that handlers understand. `detail` names paths and rules, never values. */
export type EventCheck =
  | { readonly ok: true; readonly event: Envelope }
  | { readonly ok: false; readonly reason: "unknown-type" | "invalid-shape"; readonly detail: string };

/**
 * How one provider signs, names and shapes its events. Its functions are pure functions of their arguments: no I/O, no
 * clock, no state that can be seen.
 */
export interface Source {
  /** The provider's name: lower-case letters, digits and hyphens, as it stands in URLs and logs. */
  readonly provider: string;
  /** The types that it knows the shape of. What anybody sends can be told by these alone in labels, which are bounded. */
  readonly eventTypes: readonly string[];
  /**
   * Compares the signature with what each secret would make of the body, in constant time and always with all of them.
   * No secret, or an empty one, never matches.
   */
  verify(request: SignedRequest, secrets: readonly string[]): Verification;
  /** The headers that the provider would send with this body; the opposite of `verify`. */
  sign(body: Buffer, secret: string): Record<string, string>;
  /** Reads what intake needs from a verified body. Never throws, whatever the bytes are. */
  identify(body: Buffer): EventIdentity;
  /** Parses a verified body and checks it against the schema of its type. Never throws. */
  check(body: Buffer): EventCheck;
}

/**
 * Declares a source.
 *
 * @throws {TypeError} when the provider's name cannot stand in a URL as it is.
 * @example
 * export const acme = defineSource({ provider: "acme", eventTypes: ["order.paid"], verify, sign, identify, check });
 */
export function defineSource(source: Source): Source {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(source.provider)) {
    throw new TypeError("A source's provider must be 1 to 63 lower-case letters, digits and hyphens, a letter first");
  }
  return Object.freeze({ ...source });
}
