import { hostname } from "node:os";
import { parseWorkerConfig } from "@penstock/schemas";
import { createReadiness, failStart, startInternalServer, startTelemetry, stopOnSignal } from "@penstock/telemetry";
import type { EventWorker } from "./create-worker.ts";
import { startWatchdog } from "./watchdog.ts";

const applicationName = "penstock-worker";
const STARTING = new Error("it is starting");

try {
  const config = parseWorkerConfig(process.env);
  const telemetry = await startTelemetry({ service: "worker", level: config.logLevel, env: process.env });
  const { log } = telemetry;
  startWatchdog(config.watchdogMs);
  // Loaded after tracing has started: modules that are loaded before cannot be traced.
  const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const { assertMigrated, createQueuePool, createStore } = await import("@penstock/store");
  const { assertSources, loadConfig } = await import("@penstock/engine");
  const { selectEffects } = await import("./select-effects.ts");
  const { laneSlots } = await import("./services/lanes.ts");
  const { startWorker } = await import("./create-worker.ts");
  const { createOutbound } = await import("./create-outbound.ts");
  const { createChannels } = await import("./notify/create-channels.ts");

  const { loadSources } = await import("@penstock/sources/load");
  const sources = await loadSources(config.sourcesPath, process.cwd());
  const plugged = await loadConfig(config.configPath, process.cwd());
  assertSources(plugged.handlers, sources);
  const effects = selectEffects(plugged.handlers, config.effectHandlers);
  const slots = laneSlots(plugged.handlers);
  const laned = plugged.handlers.filter(({ lanes }) => lanes !== null);
  const lanes = laned.reduce((sum, handler) => sum + (slots.get(handler.name) ?? 0), 0);
  const store = createStore({
    connectionString: config.databaseUrl,
    applicationName,
    // One for each batch, transactional delivery and lane in flight, six for upkeep and endpoints, and two for each effect
    // handler, whose deliveries hold a connection only for a moment.
    maxConnections:
      config.concurrency + Math.max(10, plugged.handlers.length - effects.length) + lanes + 6 + 2 * effects.length,
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
  for (const warning of await queue.warnings()) log.warn(warning);
  // A promise that a handler forgot must not end the process: the rejection is logged, and the rows decide about the event.
  process.on("unhandledRejection", (error) => log.error({ err: error }, "a promise was rejected and nobody heard"));
  let worker: EventWorker | null = null;
  const readiness = createReadiness(
    [
      { name: "worker", required: true, check: () => (worker ? Promise.resolve() : Promise.reject(STARTING)) },
      { name: "postgres", required: true, check: () => store.ping() },
      { name: "migrations", required: true, check: () => assertMigrated(store, plugged.handlers) },
      { name: "queue", required: false, check: () => queue.ping() },
    ],
    () => worker?.isClosing() ?? false,
  );
  // Before the worker takes work: a port that is taken ends the process.
  const internal = await startInternalServer({ ...config.internal, telemetry, readiness });
  const name = `${hostname()}:${process.pid}`;
  const outbound = createOutbound(config.outbound);
  const channels = createChannels(config.notify, config.outbound);
  worker = await startWorker(plugged, effects, config, { sources, store, queue, outbound, channels, log, name });
  const handlers = plugged.handlers.map(({ name }) => name);
  const { concurrency } = config;
  log.info(
    {
      handlers,
      effects: effects.map(({ name }) => name),
      queue: queue.backend,
      concurrency,
      internalPort: internal.port,
    },
    "worker ready",
  );

  const supervised = process.env["PENSTOCK_SUPERVISED"] === "1";
  stopOnSignal({ log, hardStopMs: config.shutdownMs + 8_000, supervised }, async () => {
    await worker?.close(config.shutdownMs);
    await outbound?.close();
    await Promise.all(channels.map((channel) => channel.close()));
    await queue.close();
    await store.close();
    internal.close();
    await telemetry.stop();
  });
} catch (error) {
  failStart("worker", error);
}
