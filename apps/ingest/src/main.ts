import { openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { parseIngestConfig } from "@penstock/schemas";
import { assertMigrated, createQueuePool, createStore } from "@penstock/store";
import { failStart, startTelemetry, stopOnSignal } from "@penstock/telemetry";
import { createIngest } from "./create-ingest.ts";

const applicationName = "penstock-ingest";

try {
  const config = parseIngestConfig(process.env);
  const { log, stop: stopTelemetry } = startTelemetry({ service: "ingest", level: config.logLevel });
  for (const warning of config.warnings) log.warn(warning);
  const store = createStore({
    connectionString: config.databaseUrl,
    applicationName,
    maxConnections: 4,
    statementTimeoutMs: 5_000,
    answerTimeoutMs: 6_000,
    onConnectionError: (error) => log.warn({ err: error }, "lost a connection to Postgres"),
  });
  await assertMigrated(store);
  const queue = openQueue(config.queue, (url = config.databaseUrl, maxConnections) =>
    createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName }),
  );
  const ingest = createIngest(config, store, queue, log);
  const { address, port } = await ingest.listen();
  log.info({ address, port, queue: queue.backend }, "ingest ready");

  stopOnSignal(log, config.shutdownMs + 5_000, async () => {
    await ingest.close(config.shutdownMs);
    await queue.close();
    await store.close();
    await stopTelemetry();
  });
} catch (error) {
  failStart("ingest", error);
}
