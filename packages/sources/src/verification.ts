import { parseTime } from "@penstock/schemas";
import type { Verification } from "./define-source.ts";

export const MISSING: Verification = Object.freeze({ ok: false, reason: "missing-signature" });
export const MALFORMED: Verification = Object.freeze({ ok: false, reason: "malformed-signature" });
export const MISMATCH: Verification = Object.freeze({ ok: false, reason: "mismatch" });
const OUT_OF_TOLERANCE: Verification = Object.freeze({ ok: false, reason: "timestamp-out-of-tolerance" });

const BETWEEN = /[,; \t]/;

/**
 * The signatures in a header, without the prefix that stands in front of each: `v1=a,v1=b`, `a, b`. Senders list several
 * while a secret is rotated, and node:http joins several headers of one name by ", ". What has another prefix is passed
 * over. A signature holds no comma, semicolon or blank, a prefix may.
 */
export function signaturesIn(header: string, prefix = ""): string[] {
  const found: string[] = [];
  for (let at = header.indexOf(prefix); at !== -1 && at < header.length;) {
    const start = at + prefix.length;
    const length = header.slice(start).search(BETWEEN);
    const end = length === -1 ? header.length : start + length;
    const isFirst = at === 0 || BETWEEN.test(header.charAt(at - 1));
    if (isFirst && end > start) found.push(header.slice(start, end));
    at = header.indexOf(prefix, Math.max(end, at + 1));
  }
  return found;
}

/**
 * What a right signature comes to, given the time that it covers as it was sent, in any form that `parseTime` reads; 0
 * seconds of tolerance take any. The verification then has that time.
 */
export function withinTolerance(
  verification: Verification,
  timestamp: string,
  toleranceSeconds: number,
  now: number,
): Verification {
  if (!verification.ok) return verification;
  const { secretIndex } = verification;
  const signedAt = parseTime(timestamp)?.getTime();
  if (signedAt === undefined) return toleranceSeconds === 0 ? verification : OUT_OF_TOLERANCE;
  const isInTime = toleranceSeconds === 0 || Math.abs(now - signedAt) <= toleranceSeconds * 1_000;
  return isInTime ? { ok: true, secretIndex, signedAt } : OUT_OF_TOLERANCE;
}

/**
 * Whether a text is the ten digits of the seconds since 1970, until the year 2286. Where nothing is signed between time and
 * body, the last digits of a shorter time could stand in front of the body, and the signature would cover both as before.
 */
export function isWholeTimestamp(text: string): boolean {
  return /^[1-9]\d{9}$/.test(text);
}

/** Whether a text is seconds since 1970 as providers write them. */
export function isTimestamp(text: string): boolean {
  return /^\d{1,12}$/.test(text);
}
