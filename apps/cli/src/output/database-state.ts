import type { DatabaseState } from "@penstock/store";
import { formatColumns } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { formatBytes } from "./format-bytes.ts";
import { printable } from "./printable.ts";

/** The days that are shown. */
const DAYS = 14;
/** A transaction that is older holds up vacuum for no good reason. */
const LONG_S = 300;

/** All that is known of the database, for people. */
export function formatDatabase(state: DatabaseState): string {
  const { backlog, connections, oldestTransaction: oldest } = state;
  const waits = `${backlog.pendingEvents} events wait${backlog.pendingEvents === 0 ? "" : `, the oldest for ${formatAge(backlog.oldestPendingSeconds * 1_000)}`}`;
  const transaction =
    oldest === null
      ? "no transaction is under way"
      : `the oldest transaction is ${formatAge(oldest.seconds * 1_000)} old: ${printable(oldest.application) || "an unnamed client"}, process ${oldest.pid}, ${oldest.state}`;
  const advice =
    oldest !== null && oldest.seconds > LONG_S
      ? `\n\nVacuum takes nothing away that this transaction may see. To end it:\n  SELECT pg_terminate_backend(${oldest.pid})`
      : "";
  const days = state.days.slice(0, DAYS).map(({ day, bytes }) => [day, formatBytes(bytes)]);
  const tables = state.tables.map((table) => [
    `${table.schema}.${table.name}`,
    formatBytes(table.bytes),
    String(table.rows),
    String(table.deadRows),
    table.partitions === 0 ? "" : String(table.partitions),
  ]);
  return [
    `Postgres ${state.version}, ${formatBytes(state.bytes)}, ${connections.used} of ${connections.max} connections\n${waits}\n${transaction}${advice}`,
    formatColumns([["TABLE", "SIZE", "ROWS", "DEAD ROWS", "PARTITIONS"], ...tables]),
    formatColumns([["DAY", "SIZE"], ...days]),
  ].join("\n\n");
}
