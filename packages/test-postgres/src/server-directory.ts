import { isRunning, removeEmbeddedPostgres } from "@penstock/embedded-postgres";
import { chmod, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "penstock-test-";

/** A new temporary directory for one server, named for this process so that what outlives it can be found. */
export async function makeServerDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // As root, Postgres runs as another user, which has to pass through.
  await chmod(dir, 0o711);
  return dir;
}

/** Removes a server's directory; the server has ended. */
export async function removeServerDirectory(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * Ends the servers that test runs left behind that were killed (servers have a session of their own, or Ctrl-C would end
 * them before the tests that use them) and removes their directories; `endOther` ends what else runs in one. Touches nothing
 * of another user's.
 */
export async function removeAbandonedServers(endOther?: (dir: string) => Promise<void>): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || (await isRunning(Number(owner)))) continue;
    const dir = join(tmpdir(), name);
    const found = await stat(dir).catch(() => null);
    if (found?.uid !== process.getuid?.()) continue;
    try {
      await removeEmbeddedPostgres(dir);
      await endOther?.(dir);
      await removeServerDirectory(dir);
    } catch {
      // Another run tidies up at the same time, or something is wrong with old rubbish: no reason not to test.
    }
  }
}
