import type { Verification } from "./define-source.ts";

export const MISSING: Verification = Object.freeze({ ok: false, reason: "missing-signature" });
export const MALFORMED: Verification = Object.freeze({ ok: false, reason: "malformed-signature" });
export const MISMATCH: Verification = Object.freeze({ ok: false, reason: "mismatch" });
const OUT_OF_TOLERANCE: Verification = Object.freeze({ ok: false, reason: "timestamp-out-of-tolerance" });

/** What stands after a prefix; `null` where nothing does, or something else than the prefix in front. */
export function afterPrefix(text: string, prefix: string): string | null {
  return text.startsWith(prefix) && text.length > prefix.length ? text.slice(prefix.length) : null;
}

/** What a right signature comes to, given the seconds since 1970 that it covers; 0 seconds of tolerance take any. */
export function withinTolerance(
  verification: Verification,
  timestamp: string,
  toleranceSeconds: number,
  now: number,
): Verification {
  if (!verification.ok || toleranceSeconds === 0) return verification;
  return Math.abs(now / 1_000 - Number(timestamp)) <= toleranceSeconds ? verification : OUT_OF_TOLERANCE;
}

/** Whether a text is seconds since 1970 as providers write them. */
export function isTimestamp(text: string): boolean {
  return /^\d{1,12}$/.test(text);
}
