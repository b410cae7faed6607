import { randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { findProject } from "./project.ts";

/** The live signing secrets, and where they come from, for messages. */
export interface SigningSecrets {
  readonly secrets: readonly [string, ...string[]];
  readonly origin: string;
}

const fileOf = (home: string): string => join(home, "signing-secret");

/** The secret that an earlier start made; null when none has. @throws CliError when the file holds none. */
export async function readSigningSecret(home: string): Promise<string | null> {
  let text: string;
  try {
    text = await readFile(fileOf(home), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CliError(`${fileOf(home)} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
  const secret = text.trim();
  if (secret === "") throw new CliError(`${fileOf(home)} is empty: remove it, and the next start makes a new secret.`);
  return secret;
}

/** The secret of an earlier start, else a new one of 32 random bytes, which is kept, readable by its owner only. */
export async function ensureSigningSecret(home: string): Promise<string> {
  const kept = await readSigningSecret(home);
  if (kept !== null) return kept;
  const secret = randomBytes(32).toString("hex");
  const temporary = `${fileOf(home)}.${process.pid}`;
  await writeFile(temporary, `${secret}\n`, { mode: 0o600, flush: true });
  await rename(temporary, fileOf(home));
  return secret;
}

/** The secrets that a start in this environment would accept: of BUZZBIP_SIGNING_SECRETS, else the one it keeps. */
export async function findSigningSecrets(ctx: CliContext): Promise<SigningSecrets> {
  const [first, ...others] = (ctx.env["BUZZBIP_SIGNING_SECRETS"] ?? "")
    .split(",")
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");
  if (first !== undefined) return { secrets: [first, ...others], origin: "BUZZBIP_SIGNING_SECRETS" };
  const { home } = findProject(ctx);
  const kept = await readSigningSecret(home);
  if (kept === null) {
    throw new CliError("There is no signing secret yet: `npm start` makes one, or set BUZZBIP_SIGNING_SECRETS.");
  }
  return { secrets: [kept], origin: fileOf(home) };
}
