import { type AttemptSummary, type EventDetail, hasStart, isTry } from "@penstock/store";
import { formatBody } from "./body-text.ts";
import { formatColumns } from "./columns.ts";
import { describeDelivery, type RetryLimits } from "./describe-delivery.ts";
import { formatAge, formatDuration } from "./duration.ts";
import { describeStatus } from "./event-table.ts";
import { printable } from "./printable.ts";

/** All of an event, for people. */
export function formatEventDetail(event: EventDetail, now: Date, limits: RetryLimits): string {
  const { id, seq, source, type, receivedAt, createdAt, bytes, quarantine, deliveries, attempts } = event;
  const traceId = traceIdOf(event.traceparent);
  const facts = [
    ["event", id === null ? "(without an id)" : printable(id)],
    ["seq", String(seq)],
    ["source", printable(source)],
    ["type", type === null ? "(none)" : printable(type)],
    ["status", describeStatus(event)],
    ...(quarantine?.detail ? [["why", printable(quarantine.detail)]] : []),
    ...(quarantine?.dismissedAt ? [["dismissed", quarantine.dismissedAt]] : []),
    ...(event.erased === null
      ? []
      : [["erased", `${event.erased.at} by ${printable(event.erased.by)}, erasure ${event.erased.erasure}`]]),
    ...(event.mendedBy === null
      ? []
      : [["mended by", `${printable(event.mendedBy.id ?? "")}  seq ${event.mendedBy.seq}`]]),
    ...(event.madeBy === null
      ? []
      : [["made by", `replay ${printable(event.madeBy.replay)} of seq ${event.madeBy.of}, with another body`]]),
    ["received", `${receivedAt}  (${formatAge(now.getTime() - Date.parse(receivedAt))} ago)`],
    ["created", createdAt ?? "(not said)"],
    ["size", bytes === 1 ? "1 byte" : `${bytes} bytes`],
    ...(traceId === null ? [] : [["trace", traceId]]),
  ];
  const sections = [
    ["handlers", deliveries.map((delivery) => describeDelivery(delivery, now, limits)).join("\n") || "(none)"],
    ...(attempts.length === 0 ? [] : [["attempts", formatColumns(attempts.map(toRow))]]),
    ["body", event.erased === null ? formatBody(event.body) : "(erased)"],
  ];
  return [
    formatColumns(facts),
    ...sections.map(([title = "", text = ""]) => `${title}\n${text.replace(/^/gm, "  ")}`),
  ].join("\n\n");
}

/** The trace that the sender began, from a W3C `traceparent`; null when it sent none that is one. */
export function traceIdOf(traceparent: string | null): string | null {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-/.exec(traceparent ?? "")?.[1] ?? null;
}

function toRow(attempt: AttemptSummary): string[] {
  const tookMs = Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt);
  const error = [attempt.errorClass, attempt.errorMessage]
    .filter((part) => part !== null)
    .map((part) => printable(part));
  return [
    printable(attempt.subscriber),
    isTry(attempt) ? `#${attempt.attempt}` : "",
    attempt.replay === null ? attempt.outcome : `${attempt.outcome} (replay ${printable(attempt.replay)})`,
    new Date(attempt.startedAt).toISOString(),
    hasStart(attempt) ? formatDuration(Math.max(0, tookMs)) : "",
    printable(attempt.worker),
    error.join(": "),
  ];
}
