import { toStorableText } from "@penstock/schemas";

/** Thrown when a handler's call took longer than its `timeoutMs`: the connection it may still use is discarded. */
export class HandlerTimeoutError extends Error {
  readonly code = "HANDLER_TIMEOUT";
  override readonly name = "HandlerTimeoutError";
  readonly handler: string;

  constructor(handler: string, timeoutMs: number) {
    super(`handler ${handler} took longer than its timeoutMs of ${timeoutMs}`);
    this.handler = handler;
  }
}

/** Thrown when the worker stops and waits no longer for a handler's call: the connection it may still use is discarded. */
export class HandlerAbandonedError extends Error {
  readonly code = "HANDLER_ABANDONED";
  override readonly name = "HandlerAbandonedError";

  constructor(handler: string, reason: unknown) {
    super(`handler ${handler} was given up: ${reason instanceof Error ? reason.message : String(reason)}`);
  }
}

/** Thrown by `ctx.once` in an attempt that was given up, or whose delivery another worker has: nothing is recorded. */
export class LeaseLostError extends Error {
  readonly code = "LEASE_LOST";
  override readonly name = "LeaseLostError";

  constructor(handler: string) {
    super(`this attempt of handler ${handler} is over: its delivery is not its own any more`);
  }
}

/** Thrown by `ctx.once` and `ctx.transaction` when they are called after their handler had ended: nothing is done or recorded. */
export class CalledTooLateError extends Error {
  readonly code = "LEASE_LOST";
  override readonly name = "CalledTooLateError";

  constructor(method: string, handler: string) {
    super(
      `ctx.${method} was called after handler ${handler} had ended, and nothing was done: await every call of ctx.once and ctx.transaction in the handler`,
    );
  }
}

/** A request to an endpoint that did not succeed. The message can quote the endpoint's answer: it is for records, not for logs. */
export class EndpointError extends Error {
  override readonly name: string;
  readonly code: "RETRY_AFTER" | "PERMANENT" | "HANDLER_TIMEOUT" | "NOT_TAKEN";
  /** The wait that the endpoint asked for with Retry-After, in milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(name: string, code: EndpointError["code"], message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = name;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Thrown when an event's data cannot be written as JSON, so that it cannot be sent: trying again can never help. */
export class UnsendableEventError extends Error {
  readonly code = "PERMANENT";
  override readonly name = "UnsendableEventError";

  constructor(provider: string) {
    super(
      `the data of this event cannot be written as JSON: let \`parse\` of the source ${provider} return what JSON can hold`,
    );
  }
}

/** Thrown when a handler's `lane` threw, or returned neither text nor null: only this delivery fails. */
export class LaneError extends Error {
  readonly code = "LANE";
  override readonly name = "LaneError";
}

/** Thrown when a handler lost a race for rows with another transaction. Transient: the event is to be run again. */
export class ConflictError extends Error {
  readonly code = "CONFLICT";
  override readonly name = "ConflictError";
}

/** The `code` of an error. Errors are told apart by code, since a package may be loaded twice. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

/** True when Postgres was away or out of disk, or the connection broke: an outage, which counts no attempt. */
export function isUnavailable(error: unknown): boolean {
  return codeOf(error) === "DATABASE_UNAVAILABLE";
}

// deadlock_detected, serialization_failure, lock_not_available
const CONFLICTS = new Set(["40P01", "40001", "55P03"]);

/** True when another transaction was in the way. */
export function isConflict(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && (CONFLICTS.has(code) || code === "CONFLICT");
}

/** True for an outage or a conflict: the same work may succeed when it is tried again. */
export function isTransient(error: unknown): boolean {
  return isUnavailable(error) || isConflict(error);
}

/**
 * The class and message of whatever was thrown, as the record of an attempt keeps them. `hide` masks what is sensitive in the message
 * before it is cut.
 */
export function describeError(
  error: unknown,
  hide: (text: string) => string = (text) => text,
): { errorClass: string; errorMessage: string } {
  const errorClass = error instanceof Error ? classOf(error) : typeof error;
  const message = hide(toText(error instanceof Error ? error.message : error));
  // A message that carries a document would fill the table.
  return {
    errorClass: toStorableText(errorClass.slice(0, 200)),
    errorMessage: toStorableText(message.slice(0, 1_000)),
  };
}

/** Stack frames of libraries and of Penstock, which runs from a clone or from node_modules. */
const NOT_THE_HANDLERS = /\/(?:node_modules|packages\/(?:engine|store|telemetry|handler-sdk))\//;

/** Where in a handler an error comes from, as `file:line:column`: the innermost frame of the handler's code. */
export function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? toText(error.stack) : "";
  const places = Array.from(
    stack.matchAll(/^ +at (?:.* \()?(?:async )?(?:file:\/\/)?(\/[^()]+:\d+:\d+)\)?$/gm),
    ([, place]) => place,
  );
  const place = places.find((place) => place !== undefined && !NOT_THE_HANDLERS.test(place));
  // A message can look like a stack, and hold anything.
  return place && toStorableText(place.slice(-300));
}

function classOf(error: Error): string {
  // Postgres errors are named "error", and most classes never set a name.
  const name = toText(error.name);
  return name.toLowerCase() === "error" ? toText((error.constructor as { name?: unknown } | undefined)?.name) : name;
}

/** String() throws for an object without a prototype. */
function toText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
