import type { ReplayDetail, ReplayRow } from "@penstock/store";
import { formatColumns, truncate } from "./columns.ts";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

const HEAD = ["AGE", "ID", "STATUS", "MATCHED", "ENQUEUED", "DONE", "SKIPPED", "WHAT"];

/** Replays as a table, one per line. */
export function formatReplayTable(replays: readonly ReplayRow[], now: Date): string {
  const rows = replays.map((replay) => [
    formatAge(now.getTime() - Date.parse(replay.createdAt)),
    printable(replay.id),
    describeStatus(replay),
    String(replay.matched),
    String(replay.enqueued),
    String(replay.done),
    String(replay.skipped),
    truncate(describeRequest(replay), 60),
  ]);
  return formatColumns([HEAD, ...rows]);
}

/** All of a replay, for people. */
export function formatReplay(replay: ReplayDetail, now: Date): string {
  const { id, createdAt, endedAt, reason, matched, enqueued, undone, done, skipped, complete, states } = replay;
  const ago = (time: string): string => `${time}  (${formatAge(now.getTime() - Date.parse(time))} ago)`;
  return formatColumns([
    ["replay", printable(id)],
    ["status", describeStatus(replay)],
    ["what", describeRequest(replay)],
    ...(reason === null ? [] : [["reason", printable(reason)]]),
    ["matched", complete ? String(matched) : `${matched} so far`],
    ["enqueued", String(enqueued)],
    ...(undone === 0 ? [] : [["put back", String(undone)]]),
    ["done", String(done)],
    ["skipped", skipped === 0 ? "0" : `${skipped}  they wait or run anyway, or their event is still not understood`],
    ["now", describeStates(states)],
    ...describeHold(replay),
    ["created", ago(createdAt)],
    ...(endedAt === null ? [] : [["ended", ago(endedAt)]]),
  ]);
}

/** `running`, `finishing` once all is handed out, `done`, `cancelled`. */
function describeStatus({ status, complete }: ReplayRow): string {
  return status === "running" && complete ? "finishing" : status;
}

function describeRequest({ request }: ReplayRow): string {
  const words = Object.entries(request)
    .filter(([name]) => name !== "reason")
    .map(([name, value]) =>
      name === "bodySha256" ? "with another body" : value === true ? name : `${name} ${String(value)}`,
    );
  return printable(words.join(", ")) || "everything";
}

function describeHold({ status, heldUpBy: { paused, inLanes } }: ReplayDetail): string[][] {
  const reasons = [
    ...paused.map((handler) => `${printable(handler)} is paused`),
    ...(inLanes === 0 ? [] : [`${inLanes} ${inLanes === 1 ? "waits for its" : "wait for their"} turn in a lane`]),
  ];
  return status !== "running" || reasons.length === 0 ? [] : [["held up", reasons.join(", ")]];
}

function describeStates(states: ReplayDetail["states"]): string {
  const parts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return parts.join(", ") || "-";
}
