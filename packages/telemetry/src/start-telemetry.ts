import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
import { reportTrouble } from "./report-trouble.ts";
import { type Environment, planTelemetry } from "./telemetry-plan.ts";
import { setTracing } from "./tracing-state.ts";

/** The telemetry of one process: started before anything else, stopped last. */
export interface Telemetry {
  readonly log: Logger;
  /** Answers with the process's metrics in the Prometheus text format; undefined when OTEL_SDK_DISABLED. */
  readonly respondMetrics?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Sends and writes out what is still held back, for a few seconds at most. */
  stop(): Promise<void>;
}

const STOP_MS = 3_000;

/**
 * Starts logs, metrics and, where the standard OTEL_* variables ask for them, traces of a process. To be called before
 * the packages that use pg and ioredis are loaded: what is loaded already can no longer be traced.
 */
export async function startTelemetry(options: LoggerOptions & { readonly env: Environment }): Promise<Telemetry> {
  const { env } = options;
  const log = createLogger(options);
  const serviceName = `penstock-${options.service}`;
  const plan = planTelemetry(env);
  setTracing(plan.traces, env);
  if (env["OTEL_LOG_LEVEL"] === undefined) reportTrouble(log);
  // Loaded only when wanted: the SDK takes a third of a second and 30 MB.
  const resource = plan.metrics ? (await import("./resource.ts")).createResource(serviceName) : undefined;
  const stopTracing =
    resource && plan.traces ? (await import("./start-tracing.ts")).startTracing(resource, env, log) : undefined;
  const metrics =
    resource && (await (await import("./start-metrics.ts")).startMetrics(resource, env, plan.sendMetrics));
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
