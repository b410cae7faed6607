import { ERASURE_COUNT_LIMIT, type ErasurePlan, type ErasureRow } from "@penstock/store";
import { formatColumns } from "./columns.ts";
import { printable } from "./printable.ts";

/** What the kinds of things are called that an erasure overwrites. */
const KINDS: Readonly<Record<string, string>> = {
  events: "events, with their bodies, headers and subjects",
  archived: "events in the archive",
  copies: "copies of these events, in other batches",
  batches: "batches that hold these events",
  deliveries: "deliveries of these events",
  attempts: "attempts with the text of an error",
  effects: "results of effects",
  quarantine: "notes of the quarantine",
  filters: "filters of words, made anew",
  refused_requests: "refused requests",
  issues: "issues",
  endpoints: "endpoints: what their last error says",
  issue_channels: "channels: what their last error says",
  replays: "replays: what they were asked for",
  dry_runs: "reports of dry runs",
  audit_log: "entries of the audit log",
  idempotency_keys: "answers of the admin API that are kept for a day",
  lanes: "lanes in which nothing waits",
};

const counted = (counts: Readonly<Record<string, number | null>>): string[][] =>
  Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([kind, count]) => [count === null ? "?" : String(count), KINDS[kind] ?? kind]);

/** What would be overwritten, for people. */
export function formatErasurePlan(plan: ErasurePlan): string {
  const { events, more, oldest, newest, types, batches, attempts, effects, quarantine, filters, texts } = plan;
  const many = more ? `at least ${events}` : String(events);
  const what = events === 0 ? "No event has it." : `${many} events have it, received from ${oldest} to ${newest}.`;
  const others = Object.fromEntries(
    Object.entries(texts).map(([table, rows]) => {
      // Those of the events themselves are counted there.
      const own =
        table === "attempts" ? attempts : table === "effects" ? effects : table === "quarantine" ? quarantine : 0;
      return [table, rows === null ? null : table === "batches" ? 0 : Math.max(0, rows - own)];
    }),
  );
  const rows = counted({ batches, attempts, effects, quarantine, filters });
  const elsewhere = counted(others);
  return [
    what,
    ...(more ? [`Counting ended at ${events} (of at most ${ERASURE_COUNT_LIMIT}), or after some seconds.`] : []),
    ...(types.length > 0
      ? [formatColumns(types.map(({ source, type, events: n }) => [String(n), printable(source), printable(type)]))]
      : []),
    ...(rows.length > 0 ? [`Overwritten with them:\n${indent(formatColumns(rows))}`] : []),
    ...(plan.skipped > 0 ? [`Skipped: ${plan.skipped} deliveries that wait or are dead.`] : []),
    ...(elsewhere.length > 0 ? [`It also stands in:\n${indent(formatColumns(elsewhere))}`] : []),
    ...(plan.handlers.length > 0
      ? [`Asked to erase what they keep: ${plan.handlers.map((one) => printable(one)).join(", ")}`]
      : []),
    ...(plan.endpoints.length > 0
      ? [`Endpoints that were sent some of it, and know it: ${plan.endpoints.map((one) => printable(one)).join(", ")}`]
      : []),
  ].join("\n\n");
}

const indent = (text: string): string => text.replace(/^/gm, "  ");

const STATES = {
  waiting: "not yet",
  done: "has erased",
  lacks: "HAS NO erase: look into its tables yourself",
  absent: "NO WORKER HAS IT: look into its tables yourself",
  failed: "FAILED: mend it, then erase again",
} as const;

const STEPS = {
  events: "is looking for events",
  texts: "is looking through texts",
  handlers: "handlers erase",
  told: "endpoints are told",
  done: "is done",
} as const;

/** How far an erasure is, for people. */
export function formatErasure(erasure: ErasureRow): string {
  const { id, kinds, requestedAt, requestedBy, step, waitsFor, counts, handlers, endedAt } = erasure;
  const facts = [
    ["erasure", String(id)],
    ["by", kinds.map((kind) => printable(kind)).join(", ")],
    ["asked for", `${requestedAt} by ${printable(requestedBy)}`],
    ["state", endedAt === null ? STEPS[step] : `${STEPS[step]}, since ${endedAt}`],
    ...(waitsFor === null ? [] : [["waits for", printable(waitsFor)]]),
  ];
  const rows = counted(counts);
  const own = Object.entries(handlers).map(([name, { state, attempts, error }]) => [
    printable(name),
    STATES[state],
    error === null || state === "done" ? "" : `${printable(error)}, tried ${attempts} times`,
  ]);
  return [
    formatColumns(facts),
    `overwritten\n${indent(rows.length === 0 ? "(nothing yet)" : formatColumns(rows))}`,
    ...(own.length === 0 ? [] : [`handlers\n${indent(formatColumns(own))}`]),
  ].join("\n\n");
}

export function formatErasureTable(erasures: readonly ErasureRow[]): string {
  return formatColumns([
    ["ERASURE", "ASKED FOR", "BY", "TOLD BY", "STATE", "EVENTS"],
    ...erasures.map(({ id, requestedAt, requestedBy, kinds, step, counts }) => [
      String(id),
      requestedAt,
      printable(requestedBy),
      kinds.map((kind) => printable(kind)).join(", "),
      STEPS[step],
      String(counts["events"] ?? 0),
    ]),
  ]);
}
