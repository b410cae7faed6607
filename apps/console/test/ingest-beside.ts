import { createIngest } from "@penstock/ingest";
import { migrateQueue, openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { parseIngestConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import { createQueuePool, createStore } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";

/** An ingest on the database of a console. */
export interface IngestBeside {
  readonly url: string;
  close(): Promise<void>;
}

export async function startIngestBeside(
  databaseUrl: string,
  sources: Sources,
  env: Record<string, string>,
): Promise<IngestBeside> {
  const given = { DATABASE_URL: databaseUrl, INGEST_HOST: "127.0.0.1", INGEST_PORT: "0", ...env };
  const config = parseIngestConfig(given, sources);
  const options = { applicationName: "console-test", maxConnections: 4 };
  const pools = (url = databaseUrl, maxConnections: number) =>
    createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, ...options, maxConnections });
  await migrateQueue(config.queue, pools);
  const store = createStore({ connectionString: databaseUrl, ...options });
  const log = createLogger({ service: "ingest", level: "fatal", destination: { write: () => undefined } });
  const queue = openQueue(config.queue, pools);
  const ingest = createIngest(config, sources, { store, queue, log });
  const { port } = await ingest.listen();
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      await ingest.close(100);
      await queue.close();
      await store.close();
    },
  };
}
