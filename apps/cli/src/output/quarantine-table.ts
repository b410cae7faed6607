import type { EventSummary } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["AGE", "ID", "SEQ", "TYPE", "REASON", "MENDED BY", "WHY"];

/** Events in quarantine as a table, one per line. */
export function formatQuarantineTable(events: readonly EventSummary[], now: Date): string {
  const rows = events.map(({ receivedAt, id, seq, type, quarantine, mendedBy }) => [
    formatAge(now.getTime() - Date.parse(receivedAt)),
    id === null ? "-" : truncate(printable(id), 40),
    String(seq),
    type === null ? "-" : truncate(printable(type), 32),
    printable(quarantine?.reason ?? ""),
    mendedBy === null ? "-" : mendedBy.id === null ? `(seq ${mendedBy.seq})` : truncate(printable(mendedBy.id), 48),
    truncate(printable(quarantine?.detail ?? ""), 80),
  ]);
  return formatColumns([HEAD, ...rows]);
}
