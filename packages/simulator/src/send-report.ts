import type { Answer } from "./http-client.ts";

/** What was sent and what came of it. The books balance: `sent` is the sum of `byStatus` and `failed`. */
export interface SendReport {
  /** Requests that were started. */
  readonly sent: number;
  /** Answers by HTTP status. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Requests without a whole answer, by error code: the system's (`ECONNREFUSED`, …), `TIMEOUT` or `ABORTED`. */
  readonly failed: Readonly<Record<string, number>>;
  /** The ids of the events that at least one 2xx acknowledged, each once, in the order of acknowledgement. */
  readonly eventIds: readonly string[];
  /** Of the requests that were answered, in milliseconds; zeros when none was. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The text of the first answer, up to 64 KiB. */
  readonly firstBody?: string;
  /** From the first scheduled send to the last outcome. */
  readonly durationMs: number;
}

/** Gathers outcomes into a report. `total` is the number of requests at most. */
export function createReportBuilder(total: number): {
  add(answer: Answer, eventId: string | null, latencyMs: number): void;
  build(durationMs: number): SendReport;
} {
  const latencies = new Float64Array(total);
  const byStatus: Record<string, number> = {};
  const failed: Record<string, number> = {};
  const eventIds = new Set<string>();
  let sent = 0;
  let answered = 0;
  let firstBody: string | undefined;

  return {
    add(answer, eventId, latencyMs) {
      sent += 1;
      if (!answer.answered) {
        failed[answer.code] = (failed[answer.code] ?? 0) + 1;
        return;
      }
      byStatus[answer.status] = (byStatus[answer.status] ?? 0) + 1;
      latencies[answered] = latencyMs;
      answered += 1;
      firstBody ??= answer.text;
      if (answer.status >= 200 && answer.status < 300 && eventId !== null) eventIds.add(eventId);
    },
    build(durationMs) {
      const sorted = latencies.subarray(0, answered).sort();
      const latency = { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: percentile(sorted, 1) };
      const body = firstBody === undefined ? {} : { firstBody };
      return { sent, byStatus, failed, eventIds: [...eventIds], latency, ...body, durationMs };
    },
  };
}

/** The smallest value that a share of all values does not exceed ("nearest rank"); 0 of none. */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
