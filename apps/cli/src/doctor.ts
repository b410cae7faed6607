import type { Diagnosis, Patient } from "@penstock/doctor";
import { ConfigError, type Environment, parseStoreConfig, type StoreConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import type { CliContext } from "./cli-context.ts";
import { findStoreConfig, openStore } from "./database.ts";
import { describeError } from "./describe-error.ts";
import { throughConsole } from "./operations/with-operations.ts";
import { findOutboundConfig } from "./outbound.ts";
import { loadProjectConfig, readProjectSources } from "./project-config.ts";
import { findProject } from "./project.ts";
import { openQueuePool } from "./queue-job.ts";
import { toRefusedFolder } from "./supervisor/child-environment.ts";
import { findRemote } from "./remote.ts";

/** An address at which nothing answers: what can be looked at without a database is looked at. */
const NOWHERE = "postgres://127.0.0.1:1/penstock";

/** Looks at everything, from here or through a console. */
export async function diagnose(ctx: CliContext): Promise<Diagnosis> {
  const remote = findRemote(ctx);
  if (remote !== null) return throughConsole(ctx, remote, ({ call }) => call("GET /doctor"));
  // Loaded when needed: it brings the checks with it.
  const { readEnvironment, runDoctor } = await import("@penstock/doctor");
  const { openQueue, QUEUE_SCHEMA } = await import("@penstock/queue");
  const { config, problem } = await findConfig(ctx);
  const provided = await findProvided(ctx, config);
  const list = await findSources(ctx);
  const sourceSecrets = list.map(({ secretsFrom }) => secretsFrom);
  const environment = readEnvironment(ctx.rawEnv, { sourceSecrets, provided });
  const store = openStore(config?.databaseUrl ?? NOWHERE, [], { answerTimeoutMs: 15_000 });
  const queue = config === null ? null : openQueue(config.queue, openQueuePool(config, QUEUE_SCHEMA));
  try {
    return await runDoctor({
      ...environment,
      store: problem === null ? store : { ...store, ping: () => Promise.reject(new Error(problem)) },
      queue,
      masterKeys: provided["PENSTOCK_MASTER_KEY"] ?? null,
      sources: list.map(({ name, source }) => ({ name, silentAfterMs: source.silentAfterMs })),
      handlers: await findHandlers(ctx),
      version: ctx.version,
      penstock: ctx.penstock,
    });
  } finally {
    await queue?.close();
    await store.close();
  }
}

/** Where data and queue are, or why that is not known. */
async function findConfig(ctx: CliContext): Promise<{ config: StoreConfig | null; problem: string | null }> {
  try {
    return { config: await findStoreConfig(ctx), problem: null };
  } catch (error) {
    const problem = error instanceof ConfigError ? error.problems.join("; ") : describeError(error);
    return { config: findQueue(ctx), problem: problem.replace(/\.$/, "") };
  }
}

/** The queue can be looked at without a database, unless it is in there. */
function findQueue(ctx: CliContext): StoreConfig | null {
  try {
    const config = parseStoreConfig({ ...ctx.env, DATABASE_URL: NOWHERE });
    return config.queue.kind === "redis" ? config : null;
  } catch {
    return null;
  }
}

/** What `npm start` makes where the environment says nothing. */
async function findProvided(ctx: CliContext, config: StoreConfig | null): Promise<Environment> {
  const masterKeys = await findOutboundConfig(ctx).then(
    (outbound) => outbound.masterKeys,
    () => null,
  );
  return {
    ...(config !== null && config.databaseUrl !== NOWHERE && { DATABASE_URL: config.databaseUrl }),
    // Beside the embedded Postgres, whose ingest has it.
    ...(config !== null && !ctx.env["DATABASE_URL"] && { INTAKE_REFUSED_DIR: toRefusedFolder(findProject(ctx).home) }),
    ...(masterKeys !== null && { PENSTOCK_MASTER_KEY: masterKeys }),
  };
}

async function findSources(ctx: CliContext): Promise<Sources["list"]> {
  const sources = await readProjectSources(ctx).catch(() => null);
  return sources?.list ?? [];
}

/** Of a configuration that cannot be loaded, `migrate` and workers tell. */
async function findHandlers(ctx: CliContext): Promise<Patient["handlers"]> {
  return loadProjectConfig(ctx).then(
    ({ handlers }) => handlers,
    () => [],
  );
}
