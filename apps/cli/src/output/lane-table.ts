import { LANE_COUNT_LIMIT, type LaneRow } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["HANDLER", "LANE", "STATE", "SINCE", "WAITING", "HEAD", "ERROR"];

/** Lanes as a table, one per line. */
export function formatLaneTable(rows: readonly LaneRow[], now: Date): string {
  const lines = rows.map((row) => [
    printable(row.handler),
    // Whole: it is what `lanes unblock` takes.
    printable(row.lane),
    describeState(row, now),
    `${formatAge(now.getTime() - Date.parse(row.since))} ago`,
    row.waiting === LANE_COUNT_LIMIT ? `${row.waiting}+` : String(row.waiting),
    nameHead(row),
    row.error === null ? "" : truncate(printable(row.error), 60),
  ]);
  return formatColumns([HEAD, ...lines]);
}

/** The event of a lane's head. */
export function nameHead({ head }: LaneRow): string {
  return head.eventId === null ? `(seq ${head.seq})` : truncate(printable(head.eventId), 40);
}

function describeState(lane: LaneRow, now: Date): string {
  return `${describeHead(lane, now)}${lane.heldBy === null ? "" : ` (${lane.heldBy})`}`;
}

function describeHead({ state, head }: LaneRow, now: Date): string {
  if (state !== "blocked") return state;
  if (head.state === "dead") return "blocked: dead letter";
  const waitMs = head.nextAttemptAt === null ? 0 : Date.parse(head.nextAttemptAt) - now.getTime();
  return `blocked: retrying ${waitMs < 1_000 ? "now" : `in ${formatAge(waitMs)}`}`;
}
