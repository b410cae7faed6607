import { randomBytes } from "node:crypto";
import { splitSecrets } from "@penstock/schemas";
import { SIMULATED } from "@penstock/simulator";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { ensureKeptSecret, keptSecretFile, readKeptSecret } from "./kept-secret.ts";
import { findProject } from "./project.ts";

/** The live signing secrets, and where they come from, for messages. */
export interface SigningSecrets {
  readonly secrets: readonly [string, ...string[]];
  readonly origin: string;
}

const NAME = "signing-secret";

/** The secret that an earlier start made; null when none has. */
export const readSigningSecret = (home: string): Promise<string | null> => readKeptSecret(home, NAME);

/** The secret that `start` signs with: of an earlier start, else a new one of 32 random bytes. */
export function ensureSigningSecret(home: string): Promise<string> {
  return ensureKeptSecret(home, NAME, () => randomBytes(32).toString("hex"));
}

/** The secrets that a start in this environment would accept: of their variable, else the one it keeps. */
export async function findSigningSecrets(ctx: CliContext): Promise<SigningSecrets> {
  const [first, ...others] = splitSecrets(ctx.env[SIMULATED.secretsFrom] ?? "");
  if (first !== undefined) return { secrets: [first, ...others], origin: SIMULATED.secretsFrom };
  const { home } = findProject(ctx);
  const kept = await readSigningSecret(home);
  if (kept === null) {
    throw new CliError(`There is no signing secret yet: \`npm start\` makes one, or set ${SIMULATED.secretsFrom}.`);
  }
  return { secrets: [kept], origin: keptSecretFile(home, NAME) };
}
