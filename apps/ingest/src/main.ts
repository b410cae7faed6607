import { parseIngestConfig } from "@penstock/schemas";
import { readSources } from "@penstock/sources/load";
import { failStart, startInternalServer, startTelemetry, stopOnSignal } from "@penstock/telemetry";

const applicationName = "penstock-ingest";

try {
  const sources = await readSources(process.env["PENSTOCK_SOURCES"], process.cwd());
  const config = parseIngestConfig(process.env, sources);
  const telemetry = await startTelemetry({ service: "ingest", level: config.logLevel, env: process.env });
  const { log } = telemetry;
  for (const warning of config.warnings) log.warn(warning);
  // Loaded only now: what is loaded before tracing has started can no longer be traced.
  const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const { assertMigrated, createQueuePool, createStore } = await import("@penstock/store/intake");
  const { createIngest } = await import("./create-ingest.ts");

  const store = createStore({
    connectionString: config.databaseUrl,
    applicationName,
    maxConnections: 4,
    statementTimeoutMs: 5_000,
    answerTimeoutMs: 6_000,
    onConnectionError: (error) => log.warn({ err: error }, "lost a connection to Postgres"),
  });
  await assertMigrated(store).catch((error: unknown) => {
    const isAway = error instanceof Error && "code" in error && error.code === "DATABASE_UNAVAILABLE";
    // Killed in an outage, it is back for what is sent meanwhile.
    if (!isAway || config.refused === null) throw error;
    log.warn({ err: error }, "Postgres is away: what is sent gets 503 and is kept in a file");
  });
  const queue = openQueue(config.queue, (url = config.databaseUrl, maxConnections) =>
    createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName }),
  );
  const ingest = createIngest(config, sources, { store, queue, log });
  const internal = await startInternalServer({ ...config.internal, telemetry, readiness: ingest.readiness });
  const { address, port } = await ingest.listen();
  // Not waited for: with the queue away, events are accepted all the same.
  void queue.warnings().then((warnings) => warnings.forEach((warning) => log.warn(warning)));
  log.info({ address, port, internalPort: internal.port, queue: queue.backend }, "ingest ready");

  const supervised = process.env["PENSTOCK_SUPERVISED"] === "1";
  stopOnSignal({ log, hardStopMs: config.shutdownMs + 8_000, supervised }, async () => {
    await ingest.close(config.shutdownMs);
    await queue.close();
    await store.close();
    internal.close();
    await telemetry.stop();
  });
} catch (error) {
  failStart("ingest", error);
}
