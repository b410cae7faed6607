import { ISSUE_COUNT_LIMIT, type IssueDetail, type IssueRow } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["ISSUE", "STATE", "LAST", "FIRST", "COUNT", "LEFT", "KIND", "OF", "WHAT"];

/** Issues as a table, one per line. */
export function formatIssueTable(issues: readonly IssueRow[], now: Date): string {
  const age = (time: string): string => formatAge(now.getTime() - Date.parse(time));
  const rows = issues.map((issue) => [
    String(issue.id),
    issue.state,
    age(issue.lastSeen),
    age(issue.firstSeen),
    String(issue.count),
    describeLeft(issue),
    issue.kind,
    truncate(printable(issue.subject), 32),
    truncate(printable(issue.title), 70),
  ]);
  return formatColumns([HEAD, ...rows]);
}

function describeLeft({ left, retrying }: IssueRow): string {
  if (left === null) return "-";
  const count = left === ISSUE_COUNT_LIMIT ? `${left}+` : String(left);
  return retrying === 0 ? count : `${count} (${retrying} tried again)`;
}

const BLOCKS = "▁▂▃▄▅▆▇█";
const SHOWN_HOURS = 48;
const HOUR_MS = 3_600_000;

/** Occurrences of the last two days, one character for an hour, the last one now. */
function drawHours(hours: IssueDetail["hours"], now: Date): string {
  const last = Math.floor(now.getTime() / HOUR_MS);
  const counts = new Map(hours.map(({ hour, count }) => [Date.parse(hour) / HOUR_MS, count]));
  const shown = Array.from({ length: SHOWN_HOURS }, (_, at) => counts.get(last - SHOWN_HOURS + 1 + at) ?? 0);
  const most = Math.max(...shown);
  if (most === 0) return "none in the last 48 h";
  const bars = shown.map((count) => (count === 0 ? "·" : BLOCKS[Math.ceil((count / most) * BLOCKS.length) - 1]));
  return `${bars.join("")}  (48 h, ${most} in the busiest)`;
}

/** All of an issue, for people, and what to do about it. */
export function formatIssue(ctx: Pick<CliContext, "penstock">, issue: IssueDetail, now: Date): string {
  const ago = (time: string): string => `${time}  (${formatAge(now.getTime() - Date.parse(time))} ago)`;
  const { example, replays } = issue;
  const by = issue.changedBy === null ? "" : ` by ${printable(issue.changedBy)}`;
  const eventId = example === null ? "" : example.eventId === null ? `seq:${example.seq}` : printable(example.eventId);
  const facts = [
    ["issue", `${issue.id}  ${printable(issue.title)}`],
    ["state", `${issue.state}${by} since ${ago(issue.changedAt)}`],
    ...(issue.note === null ? [] : [["note", printable(issue.note)]]),
    ["kind", issue.kind],
    ["of", printable(issue.subject)],
    ...(issue.place === null ? [] : [["at", printable(issue.place)]]),
    ["first seen", ago(issue.firstSeen)],
    ["last seen", ago(issue.lastSeen)],
    ["count", `${issue.count}${issue.reopened === 0 ? "" : `, came back ${issue.reopened} times`}`],
    ["left", describeLeft(issue)],
    ["over time", drawHours(issue.hours, now)],
    ...(eventId === "" ? [] : [["example", eventId]]),
    ...(replays.length === 0 ? [] : [["retries", replays.map((id) => printable(id)).join(", ")]]),
  ];
  const next = remedies(ctx, issue, eventId).map((line) => `\n  ${line}`);
  return `${formatColumns(facts)}\n\nNext:${next.join("")}`;
}

function remedies({ penstock }: Pick<CliContext, "penstock">, issue: IssueDetail, eventId: string): string[] {
  const { id, kind, subject, left } = issue;
  const name = printable(subject);
  const done = issue.state === "resolved" ? [] : [`${penstock} issues resolve ${id}`];
  switch (kind) {
    case "dead-letter":
      return [
        ...(eventId === "" ? [] : [`${penstock} deliveries show ${eventId} ${name}`]),
        ...(left === 0 ? [] : [`${penstock} issues retry ${id}          # once its cause is mended`]),
        ...done,
      ];
    case "quarantine":
      return [
        `${penstock} quarantine list --source ${name}`,
        ...(left === 0 ? [] : [`${penstock} issues retry ${id}          # once they are understood`]),
        ...done,
      ];
    case "refused":
      return [`${penstock} sources verify ${name} request.http   # says why a saved request is refused`, ...done];
    case "failing-endpoint":
      return [`${penstock} endpoints test ${name}`, `${penstock} endpoints recover ${name}   # once it is back`];
    case "blocked-lane":
      return [`${penstock} lanes list --handler ${name} --state blocked`, `${penstock} lanes unblock ${name} <lane>`];
    case "silent-source":
      return [`${penstock} sources list`, ...done];
  }
}
