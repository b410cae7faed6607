import type { EventSummary } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { describeDeliveries, type RetryLimits } from "./describe-delivery.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["AGE", "ID", "TYPE", "STATUS", "HANDLERS"];

/** Events as a table, one per line. */
export function formatEventTable(events: readonly EventSummary[], now: Date, limits: RetryLimits): string {
  const rows = events.map((event) => [
    formatAge(now.getTime() - Date.parse(event.receivedAt)),
    event.id === null ? `(seq ${event.seq})` : truncate(printable(event.id), 40),
    event.type === null ? "-" : truncate(printable(event.type), 32),
    describeStatus(event),
    describeDeliveries(event.deliveries, now, limits),
  ]);
  return formatColumns([HEAD, ...rows]);
}

/**
 * `pending`, `quarantined (not-json)`, and where each handler has its delivery: `in progress` while one waits or runs,
 * `dead letter` where one has failed for good, else `processed`.
 */
export function describeStatus({ status, quarantine, deliveries }: EventSummary): string {
  if (quarantine !== null) return `${status} (${printable(quarantine.reason)})`;
  if (status !== "processed") return status;
  const states = new Set(deliveries.map(({ state }) => state));
  if (["pending", "running", "retrying"].some((state) => states.has(state))) return "in progress";
  return states.has("dead") ? "dead letter" : status;
}
