import { createHash } from "node:crypto";
import { isEndpointId, type IssueKind, normaliseMessage } from "@penstock/schemas";

/** What occurrences of one issue have in common. */
export interface Fingerprint {
  readonly fingerprint: string;
  readonly kind: IssueKind;
  /** The handler, the endpoint or the source. */
  readonly subject: string;
  /** In words, without what differs between occurrences. */
  readonly title: string;
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
