import { createHash } from "node:crypto";
import { isEndpointId, type IssueKind, toStorableText } from "@penstock/schemas";

/** What occurrences of one issue have in common. */
export interface Fingerprint {
  readonly fingerprint: string;
  readonly kind: IssueKind;
  /** The handler, the endpoint or the source. */
  readonly subject: string;
  /** In words, without what differs between occurrences. */
  readonly title: string;
}

const MAX_TITLE = 200;

/** What differs between occurrences of one error, and what stands for it. The order matters: a UUID holds numbers. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/"[^"]*"|'[^']*'|`[^`]*`/g, "…"],
  [/\bhttps?:\/\/[^\s)]+/g, "<url>"],
  [/\b\S+@\S+\.\S+\b/g, "<address>"],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, "<id>"],
  // cnt_5c21, ord-00017, 9f86d081884c: what has a digit and could be an id of somebody's.
  [/\b[a-z]{1,12}[_-](?=[a-z0-9_-]*\d)[a-z0-9_-]+\b/gi, "<id>"],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}\b/gi, "<id>"],
  [/\d+(?:[-.,:/]\d+)*/g, "<n>"],
];

/** The first line of an error's message, without numbers, ids and what is quoted. */
export function normaliseMessage(message: string): string {
  const line = message.trimStart().split("\n", 1)[0] ?? "";
  const short = line.slice(0, 500);
  const title = VARIABLE.reduce((text, [pattern, stands]) => text.replace(pattern, stands), short);
  return toStorableText(title.slice(0, MAX_TITLE)).trimEnd();
}

/** A place without line and column, which any change of the file moves, and without where the file is installed. */
function fileOf(place: string): string {
  return place
    .replace(/:\d+:\d+$/, "")
    .split("/")
    .slice(-3)
    .join("/");
}

/** Dead letters of one handler with one error from one file. What an endpoint answers is told by its status alone. */
export function deadLetterFingerprint(dead: {
  readonly subscriber: string;
  readonly errorClass: string | null;
  readonly errorMessage: string | null;
  readonly place: string | null;
}): Fingerprint {
  const { subscriber, errorClass, place } = dead;
  const message = isEndpointId(subscriber) ? "" : normaliseMessage(dead.errorMessage ?? "");
  const title = [errorClass ?? "it failed", message].filter((part) => part !== "").join(": ");
  return fingerprint("dead-letter", subscriber, title, [errorClass, place && fileOf(place), message]);
}

/** For dead letters of a subscriber that has more issues than anybody reads. */
export function otherDeadLetters(subscriber: string): Fingerprint {
  return fingerprint("dead-letter", subscriber, "other errors: too many kinds to tell apart", ["other"]);
}

/** Makes the fingerprint of what else can be an issue: one for each subject and `detail`. */
export function fingerprint(
  kind: IssueKind,
  subject: string,
  title: string,
  detail: readonly (string | null)[] = [],
): Fingerprint {
  const text = JSON.stringify([kind, subject, ...detail]);
  return { fingerprint: createHash("sha256").update(text).digest("hex").slice(0, 32), kind, subject, title };
}
