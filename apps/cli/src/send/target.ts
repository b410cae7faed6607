import { SIMULATED } from "@penstock/simulator";
import { assertMigrated, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { findSourceNames, findStoreConfig, openStore } from "../database.ts";
import { describeError } from "../describe-error.ts";
import { findProject } from "../project.ts";
import { findRun, type RunState } from "../run-state.ts";
import { findSigningSecrets } from "../signing-secret.ts";
import { readDatabaseSecrets } from "../sources/database-secrets.ts";
import { isListening } from "./is-listening.ts";

/** Where events go, how they are signed, and where to look for what became of them. */
export interface Target {
  readonly url: URL;
  readonly secret: string;
  /** For messages: where the secret came from. */
  readonly secretOrigin: string;
  /** The receiver's database; null when it is not known or does not answer. To be closed by the caller. */
  readonly store: Store | null;
}

/**
 * Finds the receiver: what is said on the command line, else INGEST_URL, else the start that runs in this project.
 *
 * @throws CliError when nothing listens there, or no secret is known.
 */
export async function findTarget(
  ctx: CliContext,
  given: { readonly url?: string; readonly secret?: string },
): Promise<Target> {
  const run = await findRunHere(ctx);
  const url = URL.parse(given.url ?? `${ingestUrlOf(ctx, run)}/webhooks/${SIMULATED.source}`);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new UsageError("--url must be an http or https URL.");
  if (given.secret === "") throw new UsageError("--secret must not be empty.");
  if (!(await isListening(url))) {
    throw new CliError(`Nothing listens at ${url.origin}: ${adviceOn(ctx, given)}`);
  }
  // Another receiver than ours writes to a database that only DATABASE_URL can name.
  const known =
    given.url === undefined || ctx.env["DATABASE_URL"] || (run && url.origin === new URL(run.ingestUrl).origin);
  if (ctx.env["PENSTOCK_URL"]) {
    ctx.output.say(
      `PENSTOCK_URL is set, and \`send\` does not go through a console: it sends to ${url.href}. What becomes of it will not be shown; look with \`events list\`.`,
    );
  }
  const store = known && !ctx.env["PENSTOCK_URL"] ? await openIfPossible(ctx) : null;
  try {
    return { url, ...(await findSecret(ctx, given.secret, store)), store };
  } catch (error) {
    await store?.close();
    throw error;
  }
}

/** Where ingest is, as far as this environment knows: INGEST_URL, else the start that runs in this project. */
export async function findIngestUrl(ctx: CliContext): Promise<string> {
  return ingestUrlOf(ctx, await findRunHere(ctx));
}

function ingestUrlOf({ env }: CliContext, run: RunState | null): string {
  // Named where ingest runs elsewhere, e.g. in a container of its own.
  if (env["INGEST_URL"]) return env["INGEST_URL"].replace(/\/$/, "");
  return run?.ingestUrl ?? `http://127.0.0.1:${env["INGEST_PORT"] || 8080}`;
}

function adviceOn({ env }: CliContext, given: { readonly url?: string }): string {
  if (given.url) return "check --url.";
  return env["INGEST_URL"] ? "start ingest, or check INGEST_URL." : "run `npm start` first.";
}

async function findRunHere(ctx: CliContext): Promise<RunState | null> {
  let home: string;
  try {
    ({ home } = findProject(ctx));
  } catch {
    return null; // outside a project one can still send, with --url and --secret
  }
  return findRun(home);
}

/** What is given, else the newest that the database has, else what a start in this environment would accept. */
async function findSecret(
  ctx: CliContext,
  given: string | undefined,
  store: Store | null,
): Promise<Pick<Target, "secret" | "secretOrigin">> {
  if (given !== undefined) return { secret: given, secretOrigin: "--secret" };
  const known = store === null ? null : await readDatabaseSecrets(ctx, store);
  const [kept] = known?.withGiven(SIMULATED.source, []).kept ?? [];
  if (kept !== undefined) return { secret: kept, secretOrigin: "the database" };
  const { secrets, origin } = await findSigningSecrets(ctx);
  return { secret: secrets[0], secretOrigin: origin };
}

async function openIfPossible(ctx: CliContext): Promise<Store | null> {
  let store: Store | null = null;
  try {
    store = openStore((await findStoreConfig(ctx)).databaseUrl, await findSourceNames(ctx));
    await assertMigrated(store);
    return store;
  } catch (error) {
    await store?.close();
    ctx.output.say(`What becomes of it will not be shown. ${describeError(error)}`);
    return null;
  }
}
