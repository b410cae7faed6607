import { readSecretFiles, splitSecrets, type StoreConfig } from "@penstock/schemas";
import type { NamedSource } from "@penstock/sources";
import type { SourceWithSecrets } from "@penstock/sources/explain";
import type { CliContext } from "../cli-context.ts";
import { findStoreConfig, openStore } from "../database.ts";
import { describeError } from "../describe-error.ts";
import { findProject } from "../project.ts";
import { MADE_SECRET } from "../supervisor/child-environment.ts";
import { readSigningSecret } from "../signing-secret.ts";
import { type DatabaseSecrets, readDatabaseSecrets } from "./database-secrets.ts";

/** A source with the secrets that ingest would have in this environment, and where they come from; `null`: there are none. */
export interface FoundSecrets extends SourceWithSecrets {
  readonly origin: string | null;
  /** None where the source asks for none. */
  readonly verifyTokens: readonly string[];
}

/** Finds the secrets of a source: its variable, the file that its `_FILE` names, or what an earlier start made. */
export async function findSecretsOf(ctx: CliContext, source: NamedSource): Promise<FoundSecrets> {
  const { secretsFrom, verifyTokensFrom } = source;
  const variables = [secretsFrom, ...(verifyTokensFrom === null ? [] : [verifyTokensFrom])];
  const { environment, problems } = readSecretFiles(ctx.env, variables);
  for (const problem of problems.values()) ctx.output.say(problem);
  const [secrets = [], verifyTokens = []] = variables.map((name) => splitSecrets(environment[name] ?? ""));
  if (secrets.length > 0) return { ...source, secrets, origin: secretsFrom, verifyTokens };
  const made = secretsFrom === MADE_SECRET ? await readSigningSecret(findProject(ctx).home) : null;
  return made === null
    ? { ...source, secrets: [], origin: null, verifyTokens }
    : { ...source, secrets: [made], origin: "made by `start`", verifyTokens };
}

/**
 * Finds the secrets of sources as {@link findSecretsOf}, and those of the database in front of them, where one is configured
 * and runs: as ingest has them.
 */
export async function findLiveSecretsOf(
  ctx: CliContext,
  sources: readonly NamedSource[],
): Promise<readonly FoundSecrets[]> {
  const found: FoundSecrets[] = [];
  for (const source of sources) found.push(await findSecretsOf(ctx, source));
  const known = await readKnownSecrets(ctx);
  return found.map((source) => {
    const { kept = [], given = source.secrets } = known?.withGiven(source.name, source.secrets) ?? {};
    if (kept.length === 0) return { ...source, secrets: given };
    const secretsFrom = given.length === 0 ? "the database" : `the database and ${source.secretsFrom}`;
    return { ...source, secretsFrom, secrets: [...kept, ...given], origin: secretsFrom };
  });
}

/** Null where no database is configured, which a project that is only looked at need not have, or it does not answer. */
async function readKnownSecrets(ctx: CliContext): Promise<DatabaseSecrets | null> {
  let config: StoreConfig;
  try {
    config = await findStoreConfig(ctx);
  } catch {
    return null;
  }
  const store = openStore(config.databaseUrl);
  try {
    return await readDatabaseSecrets(ctx, store);
  } catch (error) {
    ctx.output.say(`Secrets of the database are not among those that are tried. ${describeError(error)}`);
    return null;
  } finally {
    await store.close();
  }
}
