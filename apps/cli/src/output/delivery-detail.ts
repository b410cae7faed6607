import type { AttemptRow, DeliveryDetail } from "@penstock/store";
import { formatColumns } from "./columns.ts";
import { describeDelivery, type RetryLimits } from "./describe-delivery.ts";
import { formatAge, formatDuration } from "./duration.ts";
import { traceIdOf } from "./event-detail.ts";
import { printable } from "./printable.ts";

/** All of a delivery, for people. */
export function formatDeliveryDetail(delivery: DeliveryDetail, now: Date, limits: RetryLimits): string {
  const { subscriber, state, eventId, seq, source, type, receivedAt, changedAt, nextAttemptAt, attemptLog } = delivery;
  const ago = (time: string): string => `${time}  (${formatAge(now.getTime() - Date.parse(time))} ago)`;
  const traceId = traceIdOf(delivery.traceparent);
  const facts = [
    ["delivery", describeDelivery(delivery, now, limits)],
    ["state", state],
    ["event", `${eventId === null ? "(without an id)" : printable(eventId)}  seq ${seq}`],
    ["type", `${type === null ? "(none)" : printable(type)} from ${printable(source)}`],
    ["handler", printable(subscriber)],
    ["received", ago(receivedAt)],
    [state === "succeeded" ? "succeeded" : "changed", ago(changedAt)],
    ...(nextAttemptAt === null ? [] : [["next try", nextAttemptAt]]),
    ...(delivery.replay === null ? [] : [["replay", printable(delivery.replay)]]),
    ...(delivery.generation === 0 ? [] : [["effects", `done anew ${delivery.generation} times`]]),
    ...(traceId === null ? [] : [["trace", traceId]]),
  ];
  const attempts = attemptLog.map((attempt) => formatAttempt(attempt, traceId)).join("\n") || describeNone(delivery);
  return `${formatColumns(facts)}\n\nattempts\n${attempts.replace(/^/gm, "  ")}`;
}

/** One line, and one for the error where there is one: it can be long. */
function formatAttempt(attempt: AttemptRow, eventTraceId: string | null): string {
  const tookMs = Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt);
  const traceId = traceIdOf(attempt.traceparent);
  const line = [
    `#${attempt.attempt}`,
    attempt.outcome,
    attempt.startedAt,
    `took ${formatDuration(Math.max(0, tookMs))}`,
    `by ${printable(attempt.worker)}`,
    ...(traceId === null || traceId === eventTraceId ? [] : [`trace ${traceId}`]),
  ].join("  ");
  const error = [attempt.errorClass, attempt.errorMessage]
    .filter((part) => part !== null)
    .map((part) => printable(part));
  return error.length === 0 ? line : `${line}\n    ${error.join(": ")}`;
}

function describeNone({ state, attempts }: DeliveryDetail): string {
  if (state === "succeeded") return "#1  succeeded at once";
  return attempts === 0 ? "none yet" : "none that has ended";
}
