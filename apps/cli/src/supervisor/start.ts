import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findFreePort, withFileLock } from "@penstock/embedded-postgres";
import type { PenstockConfig } from "@penstock/handler-sdk";
import type { IngestConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { openStore } from "../database.ts";
import { applyMigrations } from "../migrations.ts";
import { formatDuration } from "../output/duration.ts";
import { ensureMasterKey } from "../outbound.ts";
import { findProject, type Project } from "../project.ts";
import { loadProjectConfig, readProjectSources } from "../project-config.ts";
import { findRun, readRunState, removeRunState, writeRunState } from "../run-state.ts";
import { ensureSigningSecret } from "../signing-secret.ts";
import {
  type ChildConfigs,
  MADE_SECRET,
  parseChildConfigs,
  toChildEnvironment,
  toRefusedFolder,
} from "./child-environment.ts";
import { type Child, startChild } from "./child.ts";
import { buildWeb } from "./build-web.ts";
import { createAdminLink } from "./admin-link.ts";
import { describeStart } from "./describe-start.ts";
import { type EmbeddedDatabase, superviseDatabase } from "./embedded-database.ts";
import { assertPortIsFree } from "./port.ts";
import { createTerminalLog } from "./terminal-log.ts";
import { findQueueTrouble, waitUntilReady } from "./wait-until-ready.ts";

/** Of the form of a master key, for a first look at the configuration. */
const UNKNOWN_KEY = `${"A".repeat(43)}=`;
/** How long an external database may take to answer, and how long all may take to be ready. */
const DATABASE_MS = 10_000;
const READY_MS = 60_000;
/** What each service gets on top of SHUTDOWN_MS before they are killed. */
const GRACE_MS = 8_000;

/**
 * Runs everything until it is told to stop: the embedded Postgres where DATABASE_URL is not set, ingest, worker and console.
 * What it has started it also stops, in order, however it ends.
 *
 * @throws ConfigError with all that is wrong with the environment, LoadConfigError when a handler is, before anything is started.
 * @throws LockTimeoutError when another start runs in this project.
 * @throws CliError when something cannot be started.
 */
export async function start(ctx: CliContext): Promise<void> {
  ctx.stop.throwIfAborted(); // from here on a signal stops in order
  const project = findProject(ctx);
  const refusedFolder = toRefusedFolder(project.home);
  const unknown = {
    databaseUrl: "postgres://unknown",
    secret: "unknown-until-made",
    masterKey: UNKNOWN_KEY,
    refusedFolder,
  };
  const sources = await readProjectSources(ctx);
  const configs = parseChildConfigs(toChildEnvironment(ctx.env, unknown), sources);
  const plugged = await loadProjectConfig(ctx, sources);
  // Passable for others: as root, Postgres runs as another user inside it.
  await mkdir(join(project.home, "logs"), { recursive: true, mode: 0o711 });
  const other = await findRun(project.home);
  const busy = `penstock start is already running here${other ? `: process ${other.pid}, ${other.ingestUrl}. To stop it: kill ${other.pid}` : ""}.`;
  // The kernel's lock, which goes away with the process; a process id in a file would have to be judged stale.
  await withFileLock({ file: join(project.home, "start.lock"), waitMs: 0, busy }, () =>
    run(ctx, project, { ...configs, sources, plugged }),
  );
}

async function run(
  ctx: CliContext,
  { root, home }: Project,
  configs: ChildConfigs & { readonly sources: Sources; readonly plugged: PenstockConfig },
): Promise<void> {
  const { say, result } = ctx.output;
  const logs = join(home, "logs");
  const graceMs = configs.ingest.shutdownMs + GRACE_MS;
  const { host } = configs.ingest;
  const port = configs.ingest.port || (await findFreePort());
  const ingestUrl = `http://${toAuthority(host)}:${port}`;
  const leftovers = {
    pids: (await readRunState(home))?.children ?? [],
    waitMs: graceMs,
    onWait: () => say("Waiting for the processes of an earlier start that was killed…"),
  };
  await assertPortIsFree({ owner: "INGEST", host, port }, leftovers);
  const consolePort = configs.console.port || (await findFreePort());
  const consoleUrl = configs.console.publicUrl ?? `http://${toAuthority(configs.console.host)}:${consolePort}`;
  await assertPortIsFree({ owner: "CONSOLE", host: configs.console.host, port: consolePort }, leftovers);

  let postgres: EmbeddedDatabase | undefined;
  const children: Child[] = [];
  const killAll = () => {
    for (const child of children) child.kill();
    postgres?.kill();
  };
  ctx.stopNow.addEventListener("abort", killAll);
  const webBuilt = buildWeb(ctx);
  webBuilt.catch(() => undefined); // heard of below, should something else fail first
  try {
    if (!ctx.env["DATABASE_URL"]) {
      say("Starting the embedded Postgres…");
      postgres = await superviseDatabase({ dir: home, log: join(logs, "postgres.log") }, say);
      if (postgres.adopted) say("It was still running: an earlier start was killed.");
    }
    const { list } = configs.sources;
    const made = list.find(({ secretsFrom }) => secretsFrom === MADE_SECRET);
    const secret = ctx.env[MADE_SECRET] ?? (made ? await ensureSigningSecret(home) : null);
    const env = toChildEnvironment(ctx.env, {
      databaseUrl: postgres?.url ?? "",
      secret,
      masterKey: await ensureMasterKey(home),
      refusedFolder: toRefusedFolder(home),
    });
    const { ingest: config, worker } = parseChildConfigs(env, configs.sources);
    const { plugged } = configs;
    await prepareDatabase(ctx, config, plugged);
    await webBuilt;

    const state = {
      pid: process.pid,
      ingestUrl,
      consoleUrl,
      startedAt: new Date().toISOString(),
      database: postgres ? ("embedded" as const) : ("external" as const),
    };
    const pids = new Map<string, number>();
    const terminal = createTerminalLog(ctx.output, !ctx.env["NO_COLOR"]);
    for (const name of ["ingest", "worker", "console"] as const) {
      const onStart = (pid: number | undefined) => {
        if (pid !== undefined) pids.set(name, pid);
        writeRunState(home, { ...state, children: [...pids.values()] });
      };
      const { logLevel } = config;
      const childEnv = {
        ...env,
        INGEST_PORT: String(port),
        CONSOLE_PORT: String(consolePort),
        INGEST_URL: env["INGEST_URL"] || ingestUrl,
      };
      children.push(startChild(ctx, { name, root, env: childEnv, logLevel, logs, terminal, onStart }));
    }
    const internalPorts = await allReady(ctx, ingestUrl, children, logs);
    for (const child of children) child.keepAlive();
    const internal = internalPorts.map((own) => `http://${toAuthority(config.internal.host)}:${own}`);
    const queueTrouble = await findQueueTrouble(internal);
    result(
      describeStart(ctx, {
        tookMs: performance.now(),
        webhooks: list.map(({ name }) => `${ingestUrl}/webhooks/${name}`),
        ingestUrl,
        consoleLink: await createAdminLink(config.databaseUrl, consoleUrl, ctx.actor),
        secrets: made ? (config.secrets[made.name] ?? []) : [],
        database: state.database,
        queue: config.queue.kind,
        handlers: plugged.handlers.map(({ name }) => name),
        retention: worker.retention,
        queueTrouble,
        metrics: internal.map((url) => `${url}/metrics`),
        logs,
        root,
      }),
    );
    await aborted(ctx.stop);
  } catch (error) {
    // What a stop interrupts fails, and that is no failure.
    if (!ctx.stop.aborted) throw error;
  } finally {
    if (ctx.stop.aborted) say("Stopping…");
    // Ingest first, so that nothing more is acknowledged; then what processes; then where it is stored.
    for (const child of children) await child.stop(graceMs);
    await postgres?.stop();
    await removeRunState(home);
    ctx.stopNow.removeEventListener("abort", killAll);
  }
  result("stopped");
}

async function prepareDatabase(ctx: CliContext, config: IngestConfig, plugged: PenstockConfig): Promise<void> {
  const store = openStore(config.databaseUrl);
  try {
    await store
      .waitUntilAvailable(AbortSignal.any([ctx.stop, AbortSignal.timeout(DATABASE_MS)]))
      .catch(() => store.ping());
    ctx.stop.throwIfAborted();
    await applyMigrations(store, config, plugged);
    ctx.stop.throwIfAborted();
  } finally {
    await store.close();
  }
}

/** Returns the ports of the children's metrics, in their order. */
async function allReady(
  ctx: CliContext,
  ingestUrl: string,
  children: readonly Child[],
  logs: string,
): Promise<readonly number[]> {
  const limit = AbortSignal.any([ctx.stop, AbortSignal.timeout(READY_MS)]);
  const ready = waitUntilReady(ingestUrl, limit).then(() => Promise.all(children.map((child) => child.ready)));
  let ports: readonly number[] | void;
  try {
    ports = await Promise.race([ready, aborted(limit), ...children.map((child) => child.failed)]);
  } finally {
    ready.catch(() => undefined);
  }
  ctx.stop.throwIfAborted();
  if (ports !== undefined) return ports;
  throw new CliError(`Not ready after ${formatDuration(READY_MS)}. See the logs in ${logs}.`);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** A host as URLs of this machine name it: an address to listen on everywhere is none to connect to. */
function toAuthority(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host.replace("%", "%25")}]` : host;
}
