import { type Answer, isSuccess } from "@penstock/dispatch";
import type { SendPlan } from "./send-options.ts";

/** What was sent and what came of it. The books balance: `sent` is the sum of `byStatus` and `failed`. */
export interface SendReport {
  /** Requests that were started. */
  readonly sent: number;
  /** Of these, those that were not the first with their copy of an event. */
  readonly retried: number;
  /** Copies of events: those that a 2xx acknowledged, and those that were given up, retries and all. */
  readonly deliveries: { readonly acknowledged: number; readonly failed: number };
  /** Has the same faults befall the same events in the same order. */
  readonly seed: number;
  /** Answers by HTTP status. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Requests without a whole answer, by error code: the system's (`ECONNREFUSED`, …), `TIMEOUT` or `ABORTED`. */
  readonly failed: Readonly<Record<string, number>>;
  /** The ids of the events that at least one 2xx acknowledged, each once, in the order of acknowledgement. */
  readonly eventIds: readonly string[];
  /** Of the requests that were answered, in milliseconds; zeros when none was. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The beginning of the first answer's body: at most 1,000 characters, what cannot be seen escaped. */
  readonly firstBody?: string;
  /** From the first scheduled send to the last outcome. */
  readonly durationMs: number;
}

/** Gathers outcomes into a report. */
export function createReportBuilder({ seed }: SendPlan): {
  addRequest(answer: Answer, eventId: string | null, latencyMs: number, isRetry: boolean): void;
  addDelivery(acknowledged: boolean): void;
  build(durationMs: number): SendReport;
} {
  let latencies = new Float64Array(1_024);
  const byStatus: Record<string, number> = {};
  const failed: Record<string, number> = {};
  const eventIds = new Set<string>();
  const deliveries = { acknowledged: 0, failed: 0 };
  let sent = 0;
  let retried = 0;
  let answered = 0;
  let firstBody: string | undefined;

  return {
    addRequest(answer, eventId, latencyMs, isRetry) {
      sent += 1;
      if (isRetry) retried += 1;
      if (!answer.answered) {
        failed[answer.code] = (failed[answer.code] ?? 0) + 1;
        return;
      }
      byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1;
      if (answered === latencies.length) {
        const longer = new Float64Array(2 * answered);
        longer.set(latencies);
        latencies = longer;
      }
      latencies[answered] = latencyMs;
      answered += 1;
      firstBody ??= answer.body;
      if (isSuccess(answer.status) && eventId !== null) eventIds.add(eventId);
    },
    addDelivery(acknowledged) {
      deliveries[acknowledged ? "acknowledged" : "failed"] += 1;
    },
    build(durationMs) {
      const sorted = latencies.subarray(0, answered).sort();
      const latency = { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: percentile(sorted, 1) };
      const body = firstBody === undefined ? {} : { firstBody };
      return {
        sent,
        retried,
        deliveries,
        seed,
        byStatus,
        failed,
        eventIds: [...eventIds],
        latency,
        ...body,
        durationMs,
      };
    },
  };
}

/** The smallest value that a share of all values does not exceed ("nearest rank"); 0 of none. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
