import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";

/** The bytes of a file, relative to where the user typed the command. @throws CliError */
export async function readBodyFile({ typedIn }: CliContext, file: string): Promise<Buffer> {
  try {
    return await readFile(resolve(typedIn, file));
  } catch (error) {
    throw new CliError(`--body-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, {
      cause: error,
    });
  }
}
