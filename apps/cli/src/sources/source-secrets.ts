import { readSecretFiles, splitSecrets } from "@penstock/schemas";
import type { NamedSource } from "@penstock/sources";
import type { SourceWithSecrets } from "@penstock/sources/explain";
import type { CliContext } from "../cli-context.ts";
import { findProject } from "../project.ts";
import { MADE_SECRET } from "../supervisor/child-environment.ts";
import { readSigningSecret } from "../signing-secret.ts";

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
