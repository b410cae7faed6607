import { z } from "zod";
import { defineRoutes, ROLES } from "./contract.ts";
import { time } from "./values.ts";

/** Long enough that nobody guesses it; what else makes a password good cannot be told by a rule. */
const password = z.string().min(12).max(128);
const email = z.email().max(254).toLowerCase();
const name = z.string().trim().min(1).max(100);
const id = z.object({ id: z.string().max(64) });

export const LANGUAGES = ["en", "it"] as const;
export const THEMES = ["system", "light", "dark"] as const;

const rights = {
  role: z.enum(ROLES),
  /** Whether bodies and headers of events are shown to them; else they are masked. */
  seesPayloads: z.boolean(),
};

const me = z.object({
  kind: z.enum(["person", "token"]),
  id: z.string(),
  name: z.string(),
  /** Null for a token. */
  email: z.string().nullable(),
  ...rights,
  language: z.enum(LANGUAGES).nullable(),
  theme: z.enum(THEMES),
  /** Whether they can sign in by a password. */
  hasPassword: z.boolean(),
});

const person = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string(),
  ...rights,
  createdAt: time,
  /** The last time that a session of theirs was begun or used, to a day; null when there is none. */
  seenAt: time.nullable(),
  disabledAt: time.nullable(),
});

const token = z.object({
  id: z.string(),
  name: z.string(),
  /** How it begins, to tell it by. */
  hint: z.string(),
  ...rights,
  createdBy: z.string(),
  createdAt: time,
  expiresAt: time.nullable(),
  lastUsedAt: time.nullable(),
});

const link = z.object({ url: z.string(), expiresAt: time });

export const accountRoutes = defineRoutes({
  "GET /me": { summary: "Who is asking, and what they may do", role: "viewer", response: me },
  "PATCH /me": {
    summary: "Change one's own name, language or theme",
    role: "viewer",
    body: z.object({
      name: name.optional(),
      language: z.enum(LANGUAGES).nullable().optional(),
      theme: z.enum(THEMES).optional(),
    }),
    response: me,
  },
  "PUT /me/password": {
    summary: "Set or change one's own password; other sessions end",
    role: "viewer",
    body: z.object({ password, current: z.string().max(128).optional() }),
    response: null,
    secret: true,
  },
  "GET /people": {
    summary: "Who may sign in",
    role: "admin",
    response: z.object({ items: z.array(person) }),
  },
  "POST /people": {
    summary: "Invite somebody: answers with a link by which they sign in, once",
    role: "admin",
    body: z.object({ email, name, ...rights }),
    response: z.object({ person, link }),
    secret: true,
  },
  "PATCH /people/{id}": {
    summary: "Change what somebody may do, or whether they may sign in at all",
    role: "admin",
    path: id,
    body: z.object({
      role: rights.role.optional(),
      seesPayloads: rights.seesPayloads.optional(),
      disabled: z.boolean().optional(),
    }),
    response: person,
  },
  "POST /people/{id}/link": {
    summary: "Make a link by which somebody signs in, once",
    role: "admin",
    path: id,
    response: link,
    secret: true,
  },
  "GET /tokens": { summary: "API tokens", role: "admin", response: z.object({ items: z.array(token) }) },
  "POST /tokens": {
    summary: "Make an API token: its value is in this answer and nowhere else",
    role: "admin",
    body: z.object({ name, ...rights, expiresInDays: z.int().min(1).max(3_650).nullable() }),
    response: z.object({ token, value: z.string() }),
    secret: true,
  },
  "DELETE /tokens/{id}": { summary: "Revoke an API token", role: "admin", path: id, response: null },
});

/** How somebody signs in; served by the library for accounts, and limited in rate. */
export const signInRoutes = defineRoutes({
  "POST /auth/sign-in/email": {
    summary: "Sign in by password",
    role: "anyone",
    body: z.object({ email: z.string(), password: z.string() }),
    response: z.unknown(),
    stream: "raw",
  },
  "POST /auth/sign-in/link": {
    summary: "Sign in by a one-time link",
    role: "anyone",
    body: z.object({ token: z.string() }),
    response: z.unknown(),
    stream: "raw",
  },
  "POST /auth/sign-in/oidc": {
    summary: "Begin to sign in by the provider of identities: answers with the address to go to",
    role: "anyone",
    /** The path of the page to come back to. */
    body: z.object({ to: z.string().max(2_000).optional() }),
    response: z.object({ url: z.string() }),
    stream: "raw",
  },
  "GET /auth/callback/oidc": {
    summary: "Where the provider of identities sends people back to",
    role: "anyone",
    response: z.unknown(),
    stream: "raw",
  },
  "POST /auth/sign-out": { summary: "End this session", role: "anyone", response: z.unknown(), stream: "raw" },
});
