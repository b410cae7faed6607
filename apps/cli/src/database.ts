import { findEmbeddedPostgres } from "@penstock/embedded-postgres";
import { parseStoreConfig, type StoreConfig } from "@penstock/schemas";
import { assertMigrated, createStore, type Store, type StoreOptions } from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { describeError } from "./describe-error.ts";
import { findProject } from "./project.ts";
import { readProjectSources } from "./project-config.ts";
import { assertNoRemote } from "./remote.ts";
import { findRun } from "./run-state.ts";

/**
 * Where data and queue are: what the environment says, and without a DATABASE_URL the embedded Postgres of the project.
 *
 * @throws ConfigError
 * @throws CliError when that is the embedded one and it does not run.
 */
export async function findStoreConfig(ctx: CliContext): Promise<StoreConfig> {
  assertNoRemote(ctx, "This command");
  const databaseUrl = ctx.env["DATABASE_URL"] || (await findEmbeddedUrl(ctx));
  return parseStoreConfig({ ...ctx.env, DATABASE_URL: databaseUrl });
}

/**
 * Opens the database for the time of `work`.
 *
 * @throws MigrationsPendingError when it is not up to date.
 */
export async function withStore<T>(ctx: CliContext, work: (store: Store) => Promise<T>): Promise<T> {
  const { databaseUrl } = await findStoreConfig(ctx);
  const store = openStore(databaseUrl, await findSourceNames(ctx));
  try {
    await assertMigrated(store);
    return await work(store);
  } finally {
    await store.close();
  }
}

/** A store for one command: few connections, and a wait that a person bears. */
export function openStore(
  connectionString: string,
  sources: readonly string[] = [],
  options: Pick<StoreOptions, "answerTimeoutMs"> = {},
): Store {
  return createStore({
    ...options,
    connectionString,
    applicationName: "penstock-cli",
    sources,
    maxConnections: 2,
    connectTimeoutMs: 5_000,
  });
}

/** The names that events are looked up with by their ids. Where they cannot be read, that is said, and all else works. */
export async function findSourceNames(ctx: CliContext): Promise<readonly string[]> {
  try {
    return (await readProjectSources(ctx)).list.map(({ name }) => name);
  } catch (error) {
    ctx.output.say(`Events are found by their seq only, and not by their ids: ${describeError(error)}`);
    return [];
  }
}

async function findEmbeddedUrl(ctx: CliContext): Promise<string> {
  const { home } = findProject(ctx);
  const run = await findRun(home);
  if (run?.database === "external") {
    throw new CliError("`penstock start` runs here with a DATABASE_URL of its own: set the same one for this command.");
  }
  const embedded = await findEmbeddedPostgres(home);
  if (embedded?.running) return embedded.url;
  throw new CliError("The embedded Postgres is not running: run `npm start` first, or set DATABASE_URL.");
}
