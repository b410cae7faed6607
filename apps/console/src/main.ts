import { readFileSync } from "node:fs";
import { findSourceSecrets, parseConsoleConfig } from "@penstock/schemas";
import { loadSources } from "@penstock/sources/load";
import { failStart, startInternalServer, startTelemetry, stopOnSignal } from "@penstock/telemetry";

const applicationName = "penstock-console";

try {
  const config = parseConsoleConfig(process.env);
  const { list } = await loadSources(process.env["PENSTOCK_SOURCES"], process.cwd());
  const sources = { list, secrets: findSourceSecrets(process.env, list) };
  const telemetry = await startTelemetry({ service: "console", level: config.logLevel, env: process.env });
  const { log } = telemetry;
  // Loaded only now: what is loaded before tracing has started can no longer be traced.
  const { assertMigrated, createStore } = await import("@penstock/store");
  const { readEnvironment } = await import("@penstock/doctor");
  const { createConsole } = await import("./create-console.ts");
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };

  const store = createStore({
    connectionString: config.databaseUrl,
    applicationName,
    maxConnections: 8,
    statementTimeoutMs: 15_000,
    answerTimeoutMs: 20_000,
    onConnectionError: (error) => log.warn({ err: error }, "lost a connection to Postgres"),
  });
  await assertMigrated(store);
  const environment = readEnvironment(process.env, { sourceSecrets: list.map(({ secretsFrom }) => secretsFrom) });
  const console = createConsole(config, { store, log, version, sources, environment });
  const internal = await startInternalServer({ ...config.internal, telemetry, readiness: console.readiness });
  const { address, port } = await console.listen();
  log.info({ address, port, internalPort: internal.port }, "console ready");

  const supervised = process.env["PENSTOCK_SUPERVISED"] === "1";
  stopOnSignal({ log, hardStopMs: config.shutdownMs + 8_000, supervised }, async () => {
    await console.close(config.shutdownMs);
    await store.close();
    internal.close();
    await telemetry.stop();
  });
} catch (error) {
  failStart("console", error);
}
