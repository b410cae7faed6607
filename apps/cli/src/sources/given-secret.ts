import { text } from "node:stream/consumers";
import { splitSecrets } from "@penstock/schemas";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { UsageError } from "../cli-error.ts";
import { readBodyFile } from "../send/body-file.ts";

/** Where a secret comes from. Never an argument, which others on the machine can read, and a shell keeps. */
export interface SecretOptions {
  readonly from?: string;
  readonly generate?: true;
}

/** Adds the options that say where a secret comes from. */
export function addSecretOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--from <file>", "the file that holds the secret, - for standard input: one that the provider made"),
    )
    .addOption(
      new Option("--generate", "make one and print it: for a provider that lets you choose").conflicts("from"),
    );
}

/** The secret that the options say; undefined: one is to be made. @throws UsageError when they say none. */
export async function readGivenSecret(ctx: CliContext, { from, generate }: SecretOptions): Promise<string | undefined> {
  if (generate) return undefined;
  if (from === undefined)
    throw new UsageError("Say where the secret comes from: --from <file>, --from -, or --generate.");
  const given = from === "-" ? await text(process.stdin) : (await readBodyFile(ctx, from, "--from")).toString("utf8");
  const secrets = splitSecrets(given);
  if (secrets.length > 1) throw new UsageError(`That holds ${secrets.length} secrets: give them one by one.`);
  if (secrets[0] === undefined) throw new UsageError("That is empty: it has to hold the secret.");
  return secrets[0];
}
