import type { SendReport } from "@penstock/simulator";
import type { EventSummary } from "@penstock/store";
import { formatColumns, truncate } from "../output/columns.ts";
import { describeStatus } from "../output/event-table.ts";
import { formatAge, formatDuration } from "../output/duration.ts";
import { printable } from "../output/printable.ts";
import type { SentEvents } from "./sent-events.ts";

/**
 * One event: what came back and what became of it.
 *
 * @example
 * describeOneSent(report, events, now); // "200 accepted  evt_7f3a9b2c  processed within 38 ms: inbox succeeded"
 */
export function describeOneSent(report: SendReport, events: SentEvents | null, now: Date): string {
  const [status] = Object.keys(report.byStatus);
  if (status === undefined) return `no answer (${Object.keys(report.failed).join(", ") || "nothing was sent"})`;
  const answer = `${status} ${describeAnswer(report.firstBody ?? "")}`;
  if (!status.startsWith("2")) return answer;
  const [id] = report.eventIds;
  if (id === undefined) return `${answer}  (the body has no event id; it is the newest in the list of events)`;
  return [answer, truncate(printable(id), 60), ...(events === null ? [] : [describeFate(events, now)])].join("  ");
}

/** Many requests: counts and latencies, a line each. */
export function describeManySent(report: SendReport, events: SentEvents | null): string {
  const { sent, retried, durationMs, byStatus, failed, latency, deliveries, seed } = report;
  const perSecond = Math.round((sent * 1_000) / Math.max(1, durationMs));
  const answers = [...Object.entries(byStatus), ...Object.entries(failed)].map(([what, count]) => `${what} × ${count}`);
  const ms = (value: number) => formatDuration(value);
  return formatColumns([
    ["sent", `${sent} in ${formatDuration(durationMs)} (${perSecond}/s)`],
    ["answers", answers.join(", ") || "none"],
    ...(retried === 0 ? [] : [["retries", `${retried}, ${deliveries.failed} given up in the end (seed ${seed})`]]),
    ["latency", `p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)}, max ${ms(latency.max)}`],
    ["events", describeCounts(report, events)],
  ]);
}

function describeCounts({ eventIds }: SendReport, events: SentEvents | null): string {
  const acknowledged = `${eventIds.length} acknowledged`;
  if (events === null || eventIds.length === 0) return acknowledged;
  const { processed, unfinished, dead, pending, quarantined, known } = events;
  const counts = Object.entries({
    processed: processed - unfinished - dead,
    "in progress": unfinished,
    "with a dead letter": dead,
    pending,
    quarantined,
    "known before": known,
  });
  return `${acknowledged}: ${counts.flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : [])).join(", ")}`;
}

function describeFate({ event, known, settledMs }: SentEvents, now: Date): string {
  if (event === undefined) return "not in this database: it is not the receiver's";
  const deliveries = describeDeliveries(event);
  if (known > 0) return `known before, ${formatAge(now.getTime() - Date.parse(event.receivedAt))} ago: ${deliveries}`;
  if (settledMs === null)
    return "not processed yet: is the worker running, and does its queue work? `npm start` and /readyz tell";
  if (event.status === "quarantined") return describeStatus(event);
  const status = describeStatus(event);
  return `${status} ${status === "processed" ? "within" : "after"} ${formatDuration(settledMs)}: ${deliveries}`;
}

function describeDeliveries({ deliveries }: EventSummary): string {
  return (
    deliveries.map(({ subscriber, state }) => `${printable(subscriber)} ${state}`).join(", ") || "no handler takes it"
  );
}

/** The words of an answer: `status` of ours, the title and detail of a problem (RFC 9457), else its text. */
function describeAnswer(text: string): string {
  let parts: unknown[];
  try {
    const { status, title, detail } = JSON.parse(text) as Record<string, unknown>;
    parts = typeof title === "string" ? [title, detail] : [status];
  } catch {
    parts = [];
  }
  const words = parts.filter((part) => typeof part === "string").join(": ");
  return truncate(printable(words || text), 200);
}
