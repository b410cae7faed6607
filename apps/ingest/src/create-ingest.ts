import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { EventQueue } from "@penstock/queue";
import { createIntake, createRefusedImporter, createRefusedWriter } from "@penstock/intake";
import { fingerprintOf } from "@penstock/dispatch/seal";
import { ConfigError, type IngestConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import { assertMigrated, commitBatch, observeBacklog, type Store } from "@penstock/store/intake";
import { createReadiness, type Logger, type Readiness } from "@penstock/telemetry";
import { reportAnswers } from "./answer-report.ts";
import { createIngestApp, createIngestServer } from "./app.ts";
import { createBodyMemory } from "./body-memory.ts";
import type { ConfiguredSource } from "./configured-source.ts";
import { createSecretUpdates, toLiveSecrets } from "./live-secrets.ts";
import { createRateLimit } from "./rate-limit.ts";
import { createRefusalLog } from "./refusal-log.ts";

export interface Ingest {
  readonly server: Server;
  /** Whether events can be accepted, and what is not in order. */
  readonly readiness: () => Promise<Readiness>;
  /** Starts to listen and returns where. @throws when the address is taken */
  listen(): Promise<AddressInfo>;
  /** Refuses what is new, answers what is under way, at most `timeoutMs`, then closes every connection. */
  close(timeoutMs: number): Promise<void>;
}

/** Wires ingest: HTTP in front, intake behind. */
export function createIngest(
  config: IngestConfig,
  { list }: Pick<Sources, "list">,
  { store, queue, log }: { readonly store: Store; readonly queue: EventQueue; readonly log: Logger },
): Ingest {
  let closing = false;
  const stopped = new AbortController();
  const sources = new Map<string, ConfiguredSource>();
  for (const named of list) {
    const { name, source } = named;
    const given = (config.secrets[name] ?? []).map((secret) => ({ secret, fingerprint: fingerprintOf(secret, name) }));
    sources.set(name, {
      named,
      source,
      live: toLiveSecrets(given, config.verifyTokens[name] ?? []),
      activity: { eventAt: 0, refusedAt: 0, refused: 0, accepted: 0 },
      maxBodyBytes: source.maxBodyBytes ?? config.maxBodyBytes,
      limit: createRateLimit(source.ratePerSecond ?? config.sourceRatePerSecond),
    });
  }
  const secrets = createSecretUpdates(config, sources, { store, log });
  const refusals = createRefusalLog(sources, { store, log, signal: stopped.signal });
  const intake = createIntake({
    store: { commitBatch: (events) => commitBatch(store, events) },
    queue,
    log,
    windowDays: config.dedupeWindowDays,
    maxWaitingEvents: config.maxWaitingEvents,
  });
  const keptRefused = config.refused === null ? null : createRefusedWriter({ ...config.refused, log });
  // Never less than the largest body, or that could not be taken at all.
  const largest = [...sources.values()].map(({ maxBodyBytes }) => maxBodyBytes);
  const bodyMemory = createBodyMemory(Math.max(config.bodyMemoryBytes, ...largest));
  const readiness = createReadiness(
    [
      { name: "postgres", required: true, check: () => store.ping() },
      { name: "migrations", required: true, check: () => assertMigrated(store) },
      { name: "queue", required: false, check: () => queue.ping() },
      ...(keptRefused === null ? [] : [{ name: "refused-files", required: false, check: () => keptRefused.check() }]),
    ],
    () => closing,
  );
  const app = createIngestApp({
    intake,
    keptRefused,
    findSource: (name) => sources.get(name),
    trustProxyHops: config.trustProxyHops,
    addressLimit: createRateLimit(config.addressRatePerSecond),
    isClosing: () => closing,
    refusals,
    bodyMemory,
    log,
    readiness,
  });
  const server = createIngestServer(app);

  // Here as well as in the workers: when none of them is left, this is what tells.
  observeBacklog(store, null, stopped.signal, (error) =>
    log.warn({ err: error }, "what waits could not be measured, it is tried again"),
  );

  const importer =
    config.refused === null || keptRefused === null
      ? null
      : createRefusedImporter({
          folder: config.refused.folder,
          intake,
          writer: keptRefused,
          ping: () => store.ping(),
          log,
        });

  return {
    server,
    readiness,
    async listen() {
      // Before the first request: a secret that has ended must not count, and one that was added must.
      const isRead = await secrets.update();
      assertSecrets(config, sources, isRead);
      secrets.start(stopped.signal);
      reportAnswers({ store, log, signal: stopped.signal });
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(config.port, config.host, () => {
          server.off("error", reject);
          resolve(server.address() as AddressInfo);
        });
      });
    },
    async close(timeoutMs) {
      closing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      // Again and again: a connection that is answered later would be kept open for the sender's next request.
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      const force = setTimeout(() => server.closeAllConnections(), timeoutMs);
      await closed;
      clearTimeout(force);
      clearInterval(idle);
      await importer?.close();
      await intake.close();
      await keptRefused?.release();
      stopped.abort();
    },
  };
}

/**
 * A source that has no secret anywhere refuses all that is sent to it, which nobody would notice.
 *
 * @throws ConfigError that says so; also where the database cannot be read, which may have one: another start will tell.
 */
function assertSecrets(
  { withoutSecrets }: IngestConfig,
  sources: ReadonlyMap<string, ConfiguredSource>,
  isRead: boolean,
): void {
  const problems = Object.entries(withoutSecrets)
    .filter(([name]) => sources.get(name)?.live.fingerprints.length === 0)
    .map(([name, problem]) =>
      isRead ? problem : `Postgres does not answer, and may have the only secret of source ${name}: ${problem}`,
    );
  if (problems.length > 0) throw new ConfigError(problems);
}
