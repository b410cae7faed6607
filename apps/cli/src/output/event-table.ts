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

/** `processed`, or `quarantined (not-json)`. */
export function describeStatus({ status, quarantine }: EventSummary): string {
  return quarantine === null ? status : `${status} (${printable(quarantine.reason)})`;
}
