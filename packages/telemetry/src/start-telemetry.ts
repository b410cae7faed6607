import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
import { type Environment, planTelemetry } from "./telemetry-plan.ts";

/** The telemetry of one process: started before anything else, stopped last. */
export interface Telemetry {
  readonly log: Logger;
  /** Answers with the process's metrics in the Prometheus text format; undefined when OTEL_SDK_DISABLED. */
  readonly respondMetrics?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Sends and writes out what is still held back, for a few seconds at most. */
  stop(): Promise<void>;
}

const STOP_MS = 3_000;

let tracing = false;

/** Whether spans are made in this process. */
export function isTracing(): boolean {
  return tracing;
}

/**
 * Starts logs, metrics and, where the standard OTEL_* variables ask for them, traces of a process. To be called before
 * the packages that use pg and ioredis are loaded: what is loaded already can no longer be traced.
 */
export async function startTelemetry(options: LoggerOptions & { readonly env: Environment }): Promise<Telemetry> {
  const { env } = options;
  const log = createLogger(options);
  const serviceName = `penstock-${options.service}`;
  const plan = planTelemetry(env);
  tracing = plan.traces;
  // Loaded only when wanted: the SDK takes a third of a second and 30 MB.
  const stopTracing = plan.traces
    ? (await import("./start-tracing.ts")).startTracing(serviceName, env, log)
    : undefined;
  const metrics = plan.metrics
    ? await (await import("./start-metrics.ts")).startMetrics(serviceName, env, plan.sendMetrics)
    : undefined;
  return {
    log,
    ...(metrics && { respondMetrics: metrics.respond }),
    async stop() {
      // A collector that is away must not hold up a stop.
      const sent = Promise.allSettled([stopTracing?.(), metrics?.stop()]);
      await Promise.race([sent, delay(STOP_MS, undefined, { ref: false })]);
      await new Promise<void>((resolve) => log.flush(() => resolve()));
    },
  };
}
