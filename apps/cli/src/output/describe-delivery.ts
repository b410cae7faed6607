import type { DeliverySummary } from "@penstock/store";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

/** Tries in all by handler, where known: it stands in the handler's code and not in the database. */
export type RetryLimits = ReadonlyMap<string, number>;

/**
 * What a subscriber made of an event, in a few words.
 *
 * @example
 * describeDelivery(delivery, new Date(), limits); // "inbox retrying 3/10 in 20 s"
 */
export function describeDelivery(delivery: DeliverySummary, now: Date, limits: RetryLimits = new Map()): string {
  return `${describeState(delivery, now, limits)}${delivery.late ? " (late)" : ""}`;
}

function describeState(
  { subscriber, state, attempts, nextAttemptAt, heldBy }: DeliverySummary,
  now: Date,
  limits: RetryLimits,
): string {
  const name = printable(subscriber);
  const limit = limits.get(subscriber);
  const tries = limit === undefined ? `${attempts}` : `${attempts}/${limit}`;
  switch (state) {
    case "succeeded":
      return attempts > 1 ? `${name} ✓ at try ${attempts}` : `${name} ✓`;
    case "dead":
      return `${name} ✗ dead after ${attempts === 1 ? "1 try" : `${attempts} tries`}`;
    case "retrying": {
      if (heldBy !== null) return `${name} retrying ${tries} (${heldBy})`;
      const waitMs = nextAttemptAt === null ? 0 : Date.parse(nextAttemptAt) - now.getTime();
      return `${name} retrying ${tries} ${waitMs < 1_000 ? "now" : `in ${formatAge(waitMs)}`}`;
    }
    default:
      return `${name} ${printable(state)}${heldBy !== null && state === "pending" ? ` (${heldBy})` : ""}`;
  }
}

/** What all subscribers made of an event. */
export function describeDeliveries(deliveries: readonly DeliverySummary[], now: Date, limits?: RetryLimits): string {
  return deliveries.map((delivery) => describeDelivery(delivery, now, limits)).join(", ");
}
