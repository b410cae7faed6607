import { type ArchiveConfig, archiveVariables, toArchiveConfig } from "./archive-config.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { type NotifyConfig, notifyVariables, toNotifyConfig } from "./notify-config.ts";
import { type OutboundConfig, outboundVariables, toOutboundConfig } from "./outbound-config.ts";
import { parseEnvironment } from "./parse-environment.ts";
import { type RetentionConfig, retentionVariables, toRetentionConfig } from "./retention-config.ts";
import type { Environment } from "./secret-files.ts";
import { type InternalPort, type LogLevel, type QueueConfig, variables } from "./variables.ts";

/** All that a worker can be told, checked. Frozen through and through. */
export type WorkerConfig = {
  readonly databaseUrl: string;
  readonly queue: QueueConfig;
  /** Where metrics and health are served, for operators alone. */
  readonly internal: InternalPort & { readonly host: string };
  /** Path of penstock.config.ts as given; `null`: where the worker looks by itself. */
  readonly configPath: string | null;
  /** Path of penstock.sources.ts, likewise. */
  readonly sourcesPath: string | null;
  /** The effect handlers that this worker runs; `null`: all. It never restricts what a batch records. */
  readonly effectHandlers: readonly string[] | null;
  /** Batches processed at once. */
  readonly concurrency: number;
  /** Events that one batch transaction claims at most. */
  readonly batchEvents: number;
  readonly outbound: OutboundConfig;
  readonly notify: NotifyConfig;
  readonly retention: RetentionConfig;
  /** Null: days go without being archived. */
  readonly archive: ArchiveConfig | null;
  /** How long a worker may be silent, in milliseconds, before its batches go to another. */
  readonly lockMs: number;
  /** How long the event loop may stand still before the process is ended; 0: off. */
  readonly watchdogMs: number;
  /** How long a stop waits for batches that are under way. */
  readonly shutdownMs: number;
  readonly logLevel: LogLevel;
};

const { DATABASE_URL, QUEUE_URL, PENSTOCK_CONFIG, PENSTOCK_SOURCES, WORKER_HANDLERS, WORKER_CONCURRENCY } = variables;
const { INTERNAL_HOST, WORKER_INTERNAL_PORT, WORKER_BATCH_EVENTS, WORKER_LOCK_MS } = variables;
const { WATCHDOG_MS, SHUTDOWN_MS, LOG_LEVEL } = variables;

const workerVariables = {
  DATABASE_URL,
  QUEUE_URL,
  INTERNAL_HOST,
  WORKER_INTERNAL_PORT,
  PENSTOCK_CONFIG,
  PENSTOCK_SOURCES,
  WORKER_HANDLERS,
  WORKER_CONCURRENCY,
  WORKER_BATCH_EVENTS,
  WORKER_LOCK_MS,
  ...outboundVariables,
  ...notifyVariables,
  ...retentionVariables,
  ...archiveVariables,
  WATCHDOG_MS,
  SHUTDOWN_MS,
  LOG_LEVEL,
};

/**
 * Reads a worker's configuration from the environment. DATABASE_URL is required.
 *
 * @throws {ConfigError} with every problem at once, by name and never by value.
 * @example
 * const config = parseWorkerConfig(process.env);
 */
export function parseWorkerConfig(environment: Environment): WorkerConfig {
  const values = parseEnvironment(workerVariables, environment);
  return deepFreeze({
    databaseUrl: values.DATABASE_URL,
    queue: values.QUEUE_URL,
    internal: { host: values.INTERNAL_HOST, ...values.WORKER_INTERNAL_PORT },
    configPath: values.PENSTOCK_CONFIG ?? null,
    sourcesPath: values.PENSTOCK_SOURCES ?? null,
    effectHandlers: values.WORKER_HANDLERS,
    concurrency: values.WORKER_CONCURRENCY,
    batchEvents: values.WORKER_BATCH_EVENTS,
    lockMs: values.WORKER_LOCK_MS,
    outbound: toOutboundConfig(values),
    notify: toNotifyConfig(values),
    retention: toRetentionConfig(values),
    archive: toArchiveConfig(values),
    watchdogMs: values.WATCHDOG_MS,
    shutdownMs: values.SHUTDOWN_MS,
    logLevel: values.LOG_LEVEL,
  });
}
