import type { AuditRow } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { printable } from "./printable.ts";

const HEAD = ["ID", "AT", "ACTOR", "ACTION", "TARGET", "DETAIL"];

/** Entries of the audit log as a table, one per line. */
export function formatAuditTable(rows: readonly AuditRow[]): string {
  const cells = rows.map(({ id, at, actor, action, target, detail }) => [
    String(id),
    at.toISOString(),
    printable(actor),
    action,
    printable(target),
    truncate(printable(describeDetail(detail)), 80),
  ]);
  return formatColumns([HEAD, ...cells]);
}

/** What is set, as `name value` pairs. */
function describeDetail(detail: AuditRow["detail"]): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
