import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";

/** The bytes of a file, relative to where the user typed the command. @throws CliError */
export async function readBodyFile({ typedIn }: CliContext, file: string, option = "--body-file"): Promise<Buffer> {
  try {
    return await readFile(resolve(typedIn, file));
  } catch (error) {
    throw new CliError(`${option} ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, {
      cause: error,
    });
  }
}
