import type { RetryPolicy } from "@penstock/handler-sdk";
import { codeOf } from "../outage/errors.ts";

/** What to do after a failed attempt. */
export type NextStep = { readonly state: "retrying"; readonly retryInMs: number } | { readonly state: "dead" };

/**
 * Decides what follows a failed attempt: exponential backoff with full jitter, i.e. a wait between 0 and
 * `baseMs · 2^(attempt-1)`, at most `capMs`, or the wait that the policy's schedule lists. After a PermanentError the
 * delivery is dead at once; a RetryAfterError names its own wait, also capped.
 */
export function nextStep(
  policy: RetryPolicy,
  attempt: number,
  error: unknown,
  random: () => number = Math.random,
): NextStep {
  if (codeOf(error) === "PERMANENT" || attempt >= policy.attempts) return { state: "dead" };
  if (codeOf(error) === "RETRY_AFTER" && typeof (error as { retryAfterMs?: unknown }).retryAfterMs === "number") {
    const asked = (error as { retryAfterMs: number }).retryAfterMs;
    return { state: "retrying", retryInMs: Math.min(Math.max(0, Math.ceil(asked)), policy.capMs) };
  }
  const scheduled = policy.scheduleMs?.[attempt - 1];
  if (scheduled !== undefined) return { state: "retrying", retryInMs: scheduled };
  const ceilingMs = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 40));
  return { state: "retrying", retryInMs: Math.ceil(random() * ceilingMs) };
}
