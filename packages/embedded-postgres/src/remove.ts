import { realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { placeData } from "./placement.ts";
import { findPostmaster, stopPostmaster } from "./postmaster.ts";

/**
 * Stops the embedded Postgres of a directory and removes its data for good, wherever it lies, and its password and log. Other
 * files in the directory stay.
 *
 * Errors: DataUnusableError, StopFailedError.
 */
export async function removeEmbeddedPostgres(dir: string): Promise<void> {
  const real = await realpath(dir).catch(() => null);
  if (!real) return;
  const { dataDir, link } = await placeData(real);
  const found = await findPostmaster(dataDir);
  if (found) await stopPostmaster(found.pid, dataDir);
  await rm(dataDir, { recursive: true, force: true });
  if (link) await rm(link, { force: true });
  for (const name of ["postgres.json", "postgres.log", "postgres.log.old", "postgres.lock"]) {
    await rm(join(real, name), { force: true });
  }
}
