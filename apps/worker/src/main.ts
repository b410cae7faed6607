import { hostname } from "node:os";
import { openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { parseWorkerConfig } from "@penstock/schemas";
import { assertMigrated, createQueuePool, createStore } from "@penstock/store";
import { failStart, startTelemetry, stopOnSignal } from "@penstock/telemetry";
import { startWorker } from "./create-worker.ts";
import { loadConfig } from "./load-config.ts";
import { startWatchdog } from "./watchdog.ts";

const applicationName = "penstock-worker";

try {
  const config = parseWorkerConfig(process.env);
  const { log, stop: stopTelemetry } = startTelemetry({ service: "worker", level: config.logLevel });
  startWatchdog(config.watchdogMs);
  const plugged = await loadConfig(config.configPath, process.cwd());
  const store = createStore({
    connectionString: config.databaseUrl,
    applicationName,
    // One for each batch and delivery that runs at once, and some for upkeep.
    maxConnections: config.concurrency + 13,
    statementTimeoutMs: 60_000,
    answerTimeoutMs: 65_000,
    onConnectionError: (error) => log.warn({ err: error }, "lost a connection to Postgres"),
  });
  await assertMigrated(store, plugged.handlers);
  const queue = openQueue(
    config.queue,
    (url = config.databaseUrl, maxConnections) =>
      createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName }),
    { lockMs: config.lockMs, stalledCheckMs: config.lockMs / 2 },
  );
  for (const warning of await queue.warnings().catch(() => [])) log.warn(warning);
  // A promise that a handler forgot must not take down the others: it is said, and the event is judged by its rows.
  process.on("unhandledRejection", (error) => log.error({ err: error }, "a promise was rejected and nobody heard"));
  const name = `${hostname()}:${process.pid}`;
  const worker = await startWorker(plugged, config, { store, queue, log, name });
  const handlers = plugged.handlers.map(({ name }) => name);
  log.info({ handlers, queue: queue.backend, concurrency: config.concurrency }, "worker ready");

  stopOnSignal(log, config.shutdownMs + 5_000, async () => {
    await worker.close(config.shutdownMs);
    await queue.close();
    await store.close();
    await stopTelemetry();
  });
} catch (error) {
  failStart("worker", error);
}
