import { isEndpointId } from "@penstock/schemas";
import { type AttemptRow, type DeliveryDetail, type EndpointRow, isTry } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { formatColumns } from "./columns.ts";
import { describeDelivery, type RetryLimits } from "./describe-delivery.ts";
import { formatAge, formatDuration } from "./duration.ts";
import { describeEndpoint } from "./endpoint-table.ts";
import { traceIdOf } from "./event-detail.ts";
import { printable } from "./printable.ts";

/** All of a delivery, for people; with its endpoint where it has one. */
export function formatDeliveryDetail(
  ctx: Pick<CliContext, "penstock">,
  delivery: DeliveryDetail,
  now: Date,
  limits: RetryLimits,
  endpoint?: EndpointRow,
): string {
  const { subscriber, state, eventId, seq, source, type, receivedAt, changedAt, nextAttemptAt, attemptLog } = delivery;
  const { lane, late, skipReason, waitsFor, heldBy } = delivery;
  const ago = (time: string): string => `${time}  (${formatAge(now.getTime() - Date.parse(time))} ago)`;
  const traceId = traceIdOf(delivery.traceparent);
  const facts = [
    ["delivery", describeDelivery(delivery, now, limits)],
    ["state", state],
    ["event", `${eventId === null ? "(without an id)" : printable(eventId)}  seq ${seq}`],
    ["type", `${type === null ? "(none)" : printable(type)} from ${printable(source)}`],
    [
      isEndpointId(subscriber) ? "endpoint" : "handler",
      `${printable(subscriber)}${howItFares(delivery, now, endpoint)}`,
    ],
    ...(lane === null
      ? []
      : [["lane", `${printable(lane)}${waitsFor === null ? "" : `  waits for ${nameOf(waitsFor)}`}`]]),
    ...(late ? [["late", "its lane had applied a newer event before"]] : []),
    ...(skipReason === null ? [] : [["why", printable(skipReason)]]),
    ["received", ago(receivedAt)],
    [state === "succeeded" ? "succeeded" : "changed", ago(changedAt)],
    ...(nextAttemptAt === null ? [] : [["next try", heldBy === null ? nextAttemptAt : `held back: it is ${heldBy}`]]),
    ...(delivery.replay === null ? [] : [["replay", printable(delivery.replay)]]),
    ...(delivery.generation === 0
      ? []
      : [["effects", `done anew ${delivery.generation === 1 ? "once" : `${delivery.generation} times`}`]]),
    ...(traceId === null ? [] : [["trace", traceId]]),
  ];
  const attempts =
    attemptLog.map((attempt) => formatAttempt(attempt, traceId)).join("\n") ||
    (delivery.attempts === 0 ? "none yet" : "none that has ended");
  const next =
    state === "dead" && (endpoint !== undefined || !isEndpointId(subscriber))
      ? `\n\nNext, once its cause is mended:\n  ${ctx.penstock} deliveries retry ${eventId === null ? `seq:${seq}` : printable(eventId)} --handler ${printable(subscriber)}`
      : "";
  return `${formatColumns(facts)}\n\nattempts\n${attempts.replace(/^/gm, "  ")}${next}`;
}

/** What keeps its deliveries from being begun, if anything does. */
function howItFares({ subscriber, handlerPausedAt }: DeliveryDetail, now: Date, endpoint?: EndpointRow): string {
  if (endpoint !== undefined) {
    return endpoint.status === "active" ? `  ${printable(endpoint.url)}` : `  (${describeEndpoint(endpoint, now)})`;
  }
  if (isEndpointId(subscriber)) return "  (deleted: nothing is sent to it any more)";
  if (handlerPausedAt === null) return "";
  return `  (paused ${formatAge(now.getTime() - Date.parse(handlerPausedAt))} ago: nothing of it is started)`;
}

function nameOf({ eventId, seq, state }: NonNullable<DeliveryDetail["waitsFor"]>): string {
  const event = eventId === null ? `seq ${seq}` : printable(eventId);
  return `${event}, which is ${state === "dead" ? "a dead letter" : state}`;
}

/** One line, and one for the error where there is one: it can be long. */
function formatAttempt(attempt: AttemptRow, eventTraceId: string | null): string {
  const { startedAt, endedAt, outcome, worker, replay, note } = attempt;
  const traceId = traceIdOf(attempt.traceparent);
  const line = [
    ...(isTry(attempt) ? [`#${attempt.attempt}`] : []),
    outcome,
    ...(replay === null ? [] : [`(replay ${printable(replay)})`]),
    startedAt ?? endedAt,
    ...(startedAt === null ? [] : [`took ${formatDuration(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)))}`]),
    ...(worker === null ? [] : [`by ${printable(worker)}`]),
    ...(note === null ? [] : [printable(note)]),
    ...(traceId === null || traceId === eventTraceId ? [] : [`trace ${traceId}`]),
  ].join("  ");
  const error = [attempt.errorClass, attempt.errorMessage]
    .filter((part) => part !== null)
    .map((part) => printable(part));
  return error.length === 0 ? line : `${line}\n    ${error.join(": ")}`;
}
