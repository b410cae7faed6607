import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "./cli-error.ts";

/** A secret that `start` makes once and keeps in the home of a project, by the name of its file. */
export const keptSecretFile = (home: string, name: string): string => join(home, name);

/** The secret that an earlier start made; null when none has. @throws CliError when the file holds none. */
export async function readKeptSecret(home: string, name: string): Promise<string | null> {
  const file = keptSecretFile(home, name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CliError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
  const secret = text.trim();
  if (secret === "") throw new CliError(`${file} is empty: remove it, and the next start makes a new secret.`);
  return secret;
}

/** The secret of an earlier start, else a new one, which is kept, readable by its owner only. */
export async function ensureKeptSecret(home: string, name: string, make: () => string): Promise<string> {
  const kept = await readKeptSecret(home, name);
  if (kept !== null) return kept;
  const secret = make();
  const file = keptSecretFile(home, name);
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${secret}\n`, { mode: 0o600, flush: true });
  await rename(temporary, file);
  return secret;
}
