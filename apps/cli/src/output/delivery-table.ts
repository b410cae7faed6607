import type { DeliveryRow } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["AGE", "EVENT", "TYPE", "HANDLER", "STATE", "TRIES", "NEXT", "ERROR"];

/** Deliveries as a table, one per line. */
export function formatDeliveryTable(rows: readonly DeliveryRow[], now: Date): string {
  const lines = rows.map((row) => [
    formatAge(now.getTime() - Date.parse(row.receivedAt)),
    row.eventId === null ? `(seq ${row.seq})` : truncate(printable(row.eventId), 40),
    row.type === null ? "-" : truncate(printable(row.type), 32),
    printable(row.subscriber),
    row.late ? `${row.state} (late)` : row.state,
    String(row.attempts),
    describeNext(row, now),
    truncate(printable(describeReason(row)), 60),
  ]);
  return formatColumns([HEAD, ...lines]);
}

function describeReason({ state, error, skipReason }: DeliveryRow): string {
  if (state === "skipped" && skipReason !== null) return skipReason;
  return state === "succeeded" ? "" : (error ?? "");
}

function describeNext({ nextAttemptAt, heldBy, state, lane }: DeliveryRow, now: Date): string {
  if (heldBy !== null && (state === "pending" || state === "retrying")) return heldBy;
  if (nextAttemptAt === null) return lane !== null && state === "pending" ? "its turn" : "-";
  const waitMs = Date.parse(nextAttemptAt) - now.getTime();
  return waitMs < 1_000 ? "now" : `in ${formatAge(waitMs)}`;
}
