import { type Answer, isSuccess } from "@penstock/dispatch";
import type { TailedEvent } from "@penstock/store";
import { truncate } from "../output/columns.ts";
import { formatDuration } from "../output/duration.ts";
import { printable } from "../output/printable.ts";

/**
 * One event as one line: when it was received, what the program answered and how fast, its type, its id, and where that was
 * no success what was said.
 *
 * @example
 * describeForwarded(event, answer); // "14:32:05  200   12 ms  message.received        evt_7f3a9b2c"
 */
export function describeForwarded(event: TailedEvent, answer: Answer | null): string {
  const result = answer && [
    (answer.answered ? String(answer.status) : answer.code).padEnd(3),
    formatDuration(answer.durationMs).padStart(6),
  ];
  return [
    event.receivedAt.toISOString().slice(11, 19),
    ...(result ?? []),
    truncate(printable(event.type ?? "(no type)"), 40).padEnd(22),
    truncate(printable(event.id ?? `seq ${event.seq}`), 60),
    ...(answer === null ? [] : explain(answer)),
  ].join("  ");
}

function explain(answer: Answer): string[] {
  if (!answer.answered) return [truncate(answer.message, 100)];
  if (isSuccess(answer.status)) return [];
  if (answer.status >= 300 && answer.status < 400) return ["a redirect is a failure: name the place itself"];
  return answer.body === "" ? [] : [truncate(answer.body, 100)];
}
