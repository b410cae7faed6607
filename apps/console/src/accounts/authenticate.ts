import { ROLES } from "@penstock/schemas/admin";
import { findApiToken, type Store } from "@penstock/store";
import { fromNodeHeaders } from "better-auth/node";
import { z } from "zod";
import type { Authenticate, Principal } from "../api/principal.ts";
import type { Auth } from "./create-auth.ts";

const BEARER = /^bearer +(\S+)$/i;

const role = z.enum(ROLES);

/** By the token of the request where there is one, else by the cookie of a session. */
export function createAuthenticate(store: Store, auth: Auth): Authenticate {
  return async function authenticate(req) {
    const { authorization } = req.headers;
    if (authorization !== undefined) return authenticateToken(store, BEARER.exec(authorization)?.[1] ?? "");
    if (req.headers.cookie === undefined) return null;
    const found = await auth.api.getSession({ headers: fromNodeHeaders(req.headers) });
    if (found === null || found.user.disabledAt) return null;
    const { id, name, email, seesPayloads, language, theme } = found.user;
    return {
      kind: "person",
      id,
      name,
      email,
      role: role.parse(found.user.role),
      seesPayloads,
      language: language ?? null,
      theme,
      actor: email,
    };
  };
}

async function authenticateToken(store: Store, value: string): Promise<Principal | null> {
  const token = await findApiToken(store, value);
  if (token === null) return null;
  const { id, name, role, seesPayloads } = token;
  const preferences = { language: null, theme: "system" };
  return { kind: "token", id, name, email: null, role, seesPayloads, ...preferences, actor: `token:${name}` };
}
