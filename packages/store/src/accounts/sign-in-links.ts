import { createHash, randomBytes } from "node:crypto";
import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";
import type { Person } from "./people.ts";

/** A link by which somebody signs in, once. Only a hash of its token is kept. */
export interface SignInLink {
  readonly token: string;
  readonly expiresAt: string;
}

// What has run out goes on the way.
const ADD = statement({
  rows: { expires_at: "timestamptz" },
  text: sql`
    WITH gone AS (DELETE FROM penstock.sign_in_links WHERE expires_at < now())
    INSERT INTO penstock.sign_in_links (token_hash, person_id, expires_at)
    VALUES (${{ hash: "bytea", personId: "text" }}, now() + ${{ validMinutes: "int4" }} * interval '1 minute')
    RETURNING expires_at`,
});

const USE = statement({
  rows: { person_id: "text", is_valid: "bool" },
  text: sql`
    DELETE FROM penstock.sign_in_links WHERE token_hash = ${{ hash: "bytea" }}
    RETURNING person_id, expires_at > now() AS is_valid`,
});

/** Makes a link for somebody, valid for so long. */
export async function createSignInLink(
  store: Store,
  { id, email }: Pick<Person, "id" | "email">,
  validMinutes: number,
  actor: string,
): Promise<SignInLink> {
  const token = randomBytes(32).toString("base64url");
  return transaction(store, async (tx) => {
    const { rows } = await query(tx, ADD, { hash: hashOf(token), personId: id, validMinutes });
    await recordAudit(tx, { actor, action: "people.link", target: email });
    return { token, expiresAt: rows[0]?.expires_at.toISOString() ?? "" };
  });
}

/** Uses a link up, and returns the id of its person; null when it was used before, has run out, or was never made. */
export async function useSignInLink(store: Store, token: string): Promise<string | null> {
  const [row] = (await query(store.pool, USE, { hash: hashOf(token) })).rows;
  return row?.is_valid ? row.person_id : null;
}

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();
