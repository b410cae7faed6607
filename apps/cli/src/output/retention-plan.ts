import { type PlannedDay, REST_COUNT_LIMIT, type RestCount, type RetentionPlan } from "@penstock/store";
import type { RanRetention } from "../operations/retention.ts";
import { formatColumns } from "./columns.ts";
import { formatBytes } from "./format-bytes.ts";
import { printable } from "./printable.ts";

/** What the tables without days are called. */
const REST: Readonly<Record<string, string>> = {
  event_keys: "keys of events, in the ledger",
  erased_events: "marks of events that were erased",
  erasures: "records of erasures",
  event_copies: "copies of events",
  retention_log: "records of days that have gone",
  audit_log: "entries of the audit log",
  lanes: "lanes in which nothing waits",
  replays: "replays that have ended",
  issues: "issues that were resolved",
  refused_requests: "refused requests",
};

const REASONS = {
  term: (of: string) => `of ${of} have a longer term`,
  waiting: (of: string) => `wait for ${of}`,
  blocking: (of: string) => `block a lane of ${of}`,
} satisfies Record<PlannedDay["kept"][number]["reason"], (of: string) => string>;

const HOLDS = {
  unprocessed: (_: string, count: number) => `${count} batches wait for a worker`,
  replay: (of: string) => `replay ${of} runs over it`,
  running: (of: string, count: number) => `${count} deliveries of ${of} run`,
  "in-use": (of: string) => `process ${of} reads it`,
  restored: (of: string) => `brought back from its archive, kept until ${of}`,
  unarchived: (of: string) => of,
} satisfies Record<PlannedDay["holds"][number]["reason"], (of: string, count: number) => string>;

/** Why a day, or a part of it, stays. */
function describeKept({ kept, holds }: Pick<PlannedDay, "kept" | "holds">): string {
  return [
    ...holds.map(({ reason, of, count }) => HOLDS[reason](printable(of), count)),
    ...kept.map(({ reason, of, events }) => `${events} ${REASONS[reason](printable(of))}`),
  ].join("; ");
}

const ACTIONS = { drop: "goes", thin: "goes in part", keep: "stays", restore: "is put back" } as const;

/** What would go, for people. */
export function formatRetentionPlan({ policy, bytes, frees, days, rest }: RetentionPlan): string {
  const own = Object.entries(policy.sources).flatMap(([source, { days, types }]) => [
    ...(days === null ? [] : [`${printable(source)} ${days} d`]),
    ...Object.entries(types).map(([type, term]) => `${printable(source)} ${printable(type)} ${term} d`),
  ]);
  const limit = policy.bytes === null ? "no limit of bytes" : `${formatBytes(policy.bytes)} at most`;
  const terms = [
    `Events are kept for ${policy.days} days, ${limit}.`,
    ...(policy.archive === undefined ? [] : [`Days are archived in ${printable(policy.archive.url)} before they go.`]),
    ...(own.length > 0 ? [`Others: ${own.join(", ")}.`] : []),
  ];
  const going = days.filter(({ action }) => action === "drop" || action === "thin");
  const what =
    going.length === 0
      ? `No day goes now, of ${days.length} that are over.`
      : `${describeDays(going)} now: about ${formatBytes(frees)} of ${formatBytes(bytes)}.`;
  const table = days.map((day) => [
    day.day,
    formatBytes(day.bytes),
    `${ACTIONS[day.action]}${day.why === "bytes" ? ", for the limit of bytes" : ""}`,
    day.goes > 0 ? String(day.goes) : "",
    day.action === "keep" && day.kept.length + day.holds.length === 0 ? `until ${day.dueOn}` : describeKept(day),
  ]);
  return [
    [...terms, what].join("\n"),
    ...(table.length === 0
      ? []
      : [formatColumns([["DAY", "SIZE", "WHAT", "EVENTS THAT GO", "WHAT STAYS, AND WHY"], ...table])]),
    ...describeRest(rest),
  ].join("\n\n");
}

function describeRest(rest: readonly RestCount[]): string[] {
  const rows = rest
    .filter(({ rows }) => rows > 0)
    .map(({ table, days, rows }) => [
      `${rows === REST_COUNT_LIMIT ? "at least " : ""}${rows}`,
      REST[table] ?? table,
      `kept for ${days} d`,
    ]);
  return rows.length === 0 ? [] : [formatColumns(rows)];
}

/** Days and how many events of theirs go, e.g. `2 days (2026-10-01 to 2026-10-02) with 40 events go`. */
export function describeDays(days: readonly { readonly day: string; readonly goes: number }[]): string {
  const [first, last] = [days[0]?.day ?? "", days.at(-1)?.day ?? ""];
  const count = days.reduce((total, { goes }) => total + goes, 0);
  const events = count === 1 ? "1 event" : `${count} events`;
  return days.length === 1
    ? `Day ${first} with ${events} goes`
    : `${days.length} days (${first} to ${last}) with ${events} go`;
}

const OUTCOMES = { dropped: "has gone", thinned: "has gone in part", restored: "was put back" } as const;

/** What went, for people. */
export function formatRetentionRun({ days, failed, held, rest, freed }: RanRetention): string {
  const lines = [
    ...days.map((day) => [day.day, OUTCOMES[day.outcome], `${day.went} events`, describeKept({ ...day, holds: [] })]),
    ...failed.map(({ day, error }) => [day, "failed", "", printable(error)]),
    ...held.map(({ day, holds }) => [day, "stays", "", describeKept({ kept: [], holds })]),
  ];
  return [
    days.length + failed.length === 0
      ? held.length === 0
        ? "No day was due."
        : "No day has gone."
      : `${formatBytes(freed)} were freed.`,
    ...(lines.length === 0 ? [] : [formatColumns(lines)]),
    ...describeRest(rest),
  ].join("\n\n");
}
