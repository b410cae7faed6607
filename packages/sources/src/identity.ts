import { isStorableText, parseTime } from "@penstock/schemas";
import type { EventIdentity, EventProblem } from "./define-source.ts";
import { type ParsedBody, toObject } from "./parse-body.ts";

/** What a source found of an event, in the provider's own words and as it stood there. */
export interface Identity {
  /** A text; the same for each time that the event is sent. */
  readonly id: unknown;
  /** A text of 1 to 256 characters, without the provider. */
  readonly type: unknown;
  /**
   * When it happened, as it stands there: text with a zone (ISO 8601, or as in mails), or a number of seconds, milliseconds,
   * microseconds or nanoseconds since 1970, told apart by their size. What is undefined, null or empty is not said.
   */
  readonly createdAt?: unknown;
  /** Ids of what the event is about, to find it by; the one to sort by first. What is no text is left out. */
  readonly subjects?: readonly unknown[];
}

/** The longest type or subject that is kept for sorting and search, in UTF-16 code units: an index refuses long keys. */
const MAX_KEY_LENGTH = 256;

/** Turns what a source finds into what intake takes. Never throws: `find` that does, or hands back what is no identity, has found nothing. */
export function toEventIdentity(
  prefix: string,
  parsed: ParsedBody,
  find: (data: Readonly<Record<string, unknown>>) => Identity,
): EventIdentity {
  let found: Identity;
  let subjects: readonly string[];
  try {
    found = find(toObject(parsed));
    subjects = (found.subjects ?? []).filter(isKey);
  } catch {
    return unidentified(parsed.ok ? "no-envelope" : parsed.problem);
  }
  const id = typeof found.id === "string" && found.id !== "" ? found.id : null;
  const type = typeof found.type === "string" && found.type !== "" ? prefix + found.type : null;
  const known = isKey(type) ? type : null;
  const createdAt = parseTime(found.createdAt);
  return {
    id,
    type: known,
    createdAt,
    timeUnread: createdAt === null && isSaid(found.createdAt),
    subjects,
    problem: parsed.ok ? (id === null || known === null ? "no-envelope" : null) : parsed.problem,
  };
}

/** What is told of an event that tells nothing. */
export function unidentified(problem: EventProblem): EventIdentity {
  return { id: null, type: null, createdAt: null, timeUnread: false, subjects: [], problem };
}

/** Whether something can be a type or a subject. */
export function isKey(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_KEY_LENGTH && isStorableText(value);
}

/** Whether a sender gave a time at all, readable or not. */
export function isSaid(time: unknown): boolean {
  return time !== undefined && time !== null && time !== "";
}

/** The first of several times that can be read, else the first that was said. */
export function firstTime(...times: readonly unknown[]): unknown {
  return times.find((time) => parseTime(time) !== null) ?? times.find(isSaid);
}

/**
 * The time that stands as a number of seconds since 1970, or as its digits; `null` where it does not. Only what may be
 * taken for milliseconds needs it, since `identify` may hand back numbers as they are.
 */
export function fromUnixSeconds(value: unknown): Date | null {
  const seconds = typeof value === "string" && /^\d{1,12}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value;
  return typeof seconds === "number" && Number.isFinite(seconds) ? parseTime(new Date(seconds * 1_000)) : null;
}
