import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { migrateQueue } from "@penstock/queue";
import type { BuzzBipEvent } from "@penstock/schemas";
import { signBuzzBip } from "@penstock/sources";
import { createQueuePool, createStore, migrate, type Store } from "@penstock/store";
import { createTestDatabase, createTestRedis, startProcess, type TestProcess } from "@penstock/testing";
import { onTestFinished } from "vitest";
import config from "./penstock.config.ts";
import { startOtlpSink, type OtlpSink } from "./otlp-sink.ts";

const SECRET = "whsec_of_the_tests_of_telemetry";
const MAIN = {
  ingest: import.meta.resolve("@penstock/ingest/main"),
  worker: import.meta.resolve("@penstock/worker/main"),
};

/** One of the two services, run as users run it. */
export interface Service {
  readonly process: TestProcess;
  readonly internalUrl: string;
  /** Ends it in order, so that it has sent all its telemetry. */
  stop(): Promise<void>;
}

/** What runs and what it is connected to. */
export interface System {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly store: Store;
  readonly sink: OtlpSink;
  /** The receiver of webhooks; it runs from the start. */
  readonly ingest: Service & { readonly url: string };
  startWorker(env?: Record<string, string>): Promise<Service>;
  /** Sends a signed event, as part of a trace where one is given; resolves when it is acknowledged. */
  send(event: BuzzBipEvent, traceparent?: string): Promise<void>;
}

/** Starts ingest on a database and a Redis of its own, with an OTLP sink that everything is sent to. */
export async function startSystem(env: Record<string, string> = {}): Promise<System> {
  const { url: databaseUrl } = await createTestDatabase({ template: "telemetry", migrate: migrateAt });
  const { url: redisUrl } = await createTestRedis();
  const sink = await startOtlpSink();
  const store = createStore({ connectionString: databaseUrl, applicationName: "test", maxConnections: 2 });
  onTestFinished(async () => {
    sink.close();
    await store.close();
  });
  const common = {
    DATABASE_URL: databaseUrl,
    QUEUE_URL: redisUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "50",
    OTEL_METRIC_EXPORT_INTERVAL: "500",
    OTEL_METRIC_EXPORT_TIMEOUT: "400",
    INTERNAL_HOST: "127.0.0.1",
    ...env,
  };

  async function start(name: "ingest" | "worker", own: Record<string, string>): Promise<Service & { port: string }> {
    const process = startProcess({ file: MAIN[name], env: { ...common, ...own }, name });
    const [line] = await process.waitForLine(new RegExp(`^.*"${name} ready".*$`), 30_000);
    const { port, internalPort } = JSON.parse(line) as { port: string; internalPort: number };
    return {
      process,
      port,
      internalUrl: `http://127.0.0.1:${internalPort}`,
      async stop() {
        process.kill("SIGTERM");
        await process.exited;
      },
    };
  }

  const ingest = await start("ingest", {
    INGEST_HOST: "127.0.0.1",
    INGEST_PORT: "0",
    INGEST_INTERNAL_PORT: "0",
    BUZZBIP_SIGNING_SECRETS: SECRET,
  });
  const url = `http://127.0.0.1:${ingest.port}/webhooks/buzzbip`;
  return {
    databaseUrl,
    redisUrl,
    store,
    sink,
    ingest: { ...ingest, url },
    startWorker: (own = {}) =>
      start("worker", {
        ...own,
        WORKER_INTERNAL_PORT: "0",
        PENSTOCK_CONFIG: fileURLToPath(new URL("penstock.config.ts", import.meta.url)),
      }),
    async send(event, traceparent) {
      const body = Buffer.from(JSON.stringify(event));
      const headers = { ...signBuzzBip(body, SECRET), ...(traceparent && { traceparent }) };
      const answer = await fetch(url, { method: "POST", body, headers });
      if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${await answer.text()}`);
    },
  };
}

/** A trace that a sender has begun. */
export function newTraceparent(): { traceId: string; spanId: string; traceparent: string } {
  const traceId = randomBytes(16).toString("hex");
  const spanId = randomBytes(8).toString("hex");
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

async function migrateAt(url: string): Promise<void> {
  const store = createStore({ connectionString: url, applicationName: "test", maxConnections: 2 });
  await migrate(store, config.handlers);
  await store.close();
  await migrateQueue({ kind: "postgres" }, (own = url, maxConnections) =>
    createQueuePool({ connectionString: own, schema: "bullmq", maxConnections, applicationName: "test" }),
  );
}
