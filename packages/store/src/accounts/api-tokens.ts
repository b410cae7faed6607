import { createHash, randomBytes, randomUUID } from "node:crypto";
import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";
import type { RoleName } from "./people.ts";

/** A token by which a program calls the admin API. Only a hash of its value is kept. */
export interface ApiToken {
  readonly id: string;
  readonly name: string;
  /** How its value begins. */
  readonly hint: string;
  readonly role: RoleName;
  readonly seesPayloads: boolean;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  /** To five minutes. */
  readonly lastUsedAt: string | null;
}

/** Says what a leaked one is, to people and to scanners of secrets. */
const PREFIX = "pst_";

const TOKEN_ROW = {
  id: "text",
  name: "text",
  hint: "text",
  role: column<RoleName>("text"),
  sees_payloads: "bool",
  created_by: "text",
  created_at: "timestamptz",
  expires_at: "timestamptz?",
  last_used_at: "timestamptz?",
} as const;
const TOKEN = "id, name, hint, role, sees_payloads, created_by, created_at, expires_at, last_used_at";

const LIST = statement({
  rows: TOKEN_ROW,
  text: sql`SELECT ${TOKEN} FROM penstock.api_tokens ORDER BY created_at DESC, id`,
});

const ADD = statement({
  rows: TOKEN_ROW,
  text: sql`
    INSERT INTO penstock.api_tokens (id, token_hash, hint, name, role, sees_payloads, created_by, expires_at)
    VALUES (${{ id: "text", hash: "bytea", hint: "text", name: "text", role: "text", seesPayloads: "bool", actor: "text" }},
            now() + ${{ days: "int4?" }} * interval '1 day')
    RETURNING ${TOKEN}`,
});

const REVOKE = statement({
  rows: { name: "text" },
  text: sql`DELETE FROM penstock.api_tokens WHERE id = ${{ id: "text" }} RETURNING name`,
});

const FIND = statement({
  name: "penstock-find-api-token",
  rows: TOKEN_ROW,
  text: sql`
    SELECT ${TOKEN} FROM penstock.api_tokens
     WHERE token_hash = ${{ hash: "bytea" }} AND (expires_at IS NULL OR expires_at > now())`,
});

// A write per request would be a write per read.
const TOUCH = statement({
  text: sql`
    UPDATE penstock.api_tokens SET last_used_at = now()
     WHERE id = ${{ id: "text" }} AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')`,
});

/** All tokens, the newest first. */
export async function listApiTokens(store: Store): Promise<ApiToken[]> {
  return (await query(store.pool, LIST)).rows.map(toToken);
}

/** Makes a token; its value is returned here and kept nowhere. Without `expiresInDays` it is valid until it is revoked. */
export async function createApiToken(
  store: Store,
  wanted: Pick<ApiToken, "name" | "role" | "seesPayloads"> & { readonly expiresInDays: number | null },
  actor: string,
): Promise<{ readonly token: ApiToken; readonly value: string }> {
  const value = PREFIX + randomBytes(32).toString("base64url");
  const { name, role, seesPayloads, expiresInDays: days } = wanted;
  const hint = value.slice(0, PREFIX.length + 4);
  return transaction(store, async (tx) => {
    const values = { id: randomUUID(), hash: hashOf(value), hint, name, role, seesPayloads, actor, days };
    const [row] = (await query(tx, ADD, values)).rows;
    if (row === undefined) throw new Error("a token was not stored");
    await recordAudit(tx, { actor, action: "tokens.add", target: name, detail: { role, seesPayloads, hint } });
    return { token: toToken(row), value };
  });
}

/** Ends a token, at once. False when there is none with this id. */
export async function revokeApiToken(store: Store, id: string, actor: string): Promise<boolean> {
  return transaction(store, async (tx) => {
    const [row] = (await query(tx, REVOKE, { id })).rows;
    if (row === undefined) return false;
    await recordAudit(tx, { actor, action: "tokens.revoke", target: row.name });
    return true;
  });
}

/** The token with this value, and remembers that it is used; null when there is none that is valid. */
export async function findApiToken(store: Store, value: string): Promise<ApiToken | null> {
  if (!value.startsWith(PREFIX)) return null;
  const [row] = (await query(store.pool, FIND, { hash: hashOf(value) })).rows;
  if (row === undefined) return null;
  await query(store.pool, TOUCH, { id: row.id });
  return toToken(row);
}

// Random and long: it needs no slow hash.
const hashOf = (value: string): Buffer => createHash("sha256").update(value).digest();

function toToken(row: RowOf<typeof LIST>): ApiToken {
  return {
    id: row.id,
    name: row.name,
    hint: row.hint,
    role: row.role,
    seesPayloads: row.sees_payloads,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  };
}
