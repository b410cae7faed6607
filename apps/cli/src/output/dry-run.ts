import type { DryRunReport, TableChanges } from "@penstock/engine";
import type { EventSummary } from "@penstock/store";
import { formatDuration } from "./duration.ts";
import { printable } from "./printable.ts";

/** What a handler would do with all events together. */
export interface Total {
  events: number;
  /** How many were to be tried: more than were after a stop. */
  readonly of: number;
  failed: number;
  readonly tables: Map<string, TableChanges>;
}

const WORDS: Readonly<Record<DryRunReport["outcome"], string>> = {
  succeeded: "would succeed",
  failed: "would fail",
  "not-understood": "is not understood",
  "not-subscribed": "is of a type that it does not subscribe to",
};

/** What a handler would do with an event, for people. */
export function formatDryRun(event: Pick<EventSummary, "id" | "seq" | "type">, report: DryRunReport): string {
  const { outcome, error, tookMs, tables, statements } = report;
  const why =
    error === null ? "" : `: ${[error.errorClass, error.errorMessage].filter((part) => part !== null).join(": ")}`;
  return [
    `${name(event)}  ${event.type === null ? "-" : printable(event.type)}  ${WORDS[outcome]}${printable(why)}  (${formatDuration(tookMs)})`,
    ...tables.map((table) => `  ${formatTable(table)}`),
    ...statements.map(({ sql, rows, error: refusal }, at) => {
      const came = refusal === null ? `${rows} ${rows === 1 ? "row" : "rows"}` : `failed: ${printable(refusal)}`;
      return `  ${at + 1}. ${printable(sql.replace(/\s+/g, " ").trim())}  -> ${came}`;
    }),
  ].join("\n");
}

/** The sum over all events. */
export function formatTotal(handler: string, { events, of, failed, tables }: Total): string {
  const lines = [...tables.values()].map((table) => `  ${formatTable(table)}`);
  const count = `${events < of ? `stopped after ${events} of ${of}` : events} ${of === 1 ? "event" : "events"}`;
  const head = `${printable(handler)}: ${count}, ${failed} would not succeed. Nothing was kept.`;
  return [head, ...(lines.length === 0 ? ["  no rows"] : lines)].join("\n");
}

/** What an effect handler has done for an event. */
export function formatEffects(event: Pick<EventSummary, "id" | "seq">, recorded: readonly string[]): string {
  return `${name(event)}  on record: ${recorded.map((key) => printable(key)).join(", ") || "nothing"}`;
}

function name({ id, seq }: Pick<EventSummary, "id" | "seq">): string {
  return id === null ? `(seq ${seq})` : printable(id);
}

function formatTable({ table, inserted, updated, deleted }: TableChanges): string {
  return `${printable(table)}: ${inserted} inserted, ${updated} updated, ${deleted} deleted`;
}
