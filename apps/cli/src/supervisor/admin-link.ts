import { createSignInLink, ensureAdmin } from "@penstock/store";
import { openStore } from "../database.ts";

/** Long enough to be found in a terminal that was left open for lunch. */
const VALID_MINUTES = 60;

/** A link that opens the console and signs its admin in, once. */
export async function createAdminLink(databaseUrl: string, consoleUrl: string, actor: string): Promise<string> {
  const store = openStore(databaseUrl);
  try {
    const { token } = await createSignInLink(store, await ensureAdmin(store), VALID_MINUTES, actor);
    return toSignInUrl(consoleUrl, token);
  } finally {
    await store.close();
  }
}

/** The token stands after the hash, so that it reaches no log. */
export const toSignInUrl = (consoleUrl: string, token: string): string => `${consoleUrl}/sign-in#link=${token}`;
