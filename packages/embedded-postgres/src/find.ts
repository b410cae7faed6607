import { realpath } from "node:fs/promises";
import { askServer } from "./ask-server.ts";
import { placeData } from "./placement.ts";
import { findPostmaster } from "./postmaster.ts";
import { readState, toUrl } from "./state-file.ts";

/**
 * Says how to reach the embedded Postgres of a directory from any process, and whether it accepts logins now; null where
 * there is none. Starts nothing and writes nothing.
 *
 * Errors: DataUnusableError.
 */
export async function findEmbeddedPostgres(dir: string): Promise<{ url: string; running: boolean } | null> {
  const real = await realpath(dir).catch(() => null);
  const state = real && (await readState(real));
  if (!real || !state) return null;
  const { dataDir, exists } = await placeData(real);
  if (!exists) return null;
  const found = await findPostmaster(dataDir);
  const port = found?.port || state.port;
  const running = found !== null && (await askServer(port, 2_000)) === "accepting";
  return { url: toUrl({ ...state, port }), running };
}
