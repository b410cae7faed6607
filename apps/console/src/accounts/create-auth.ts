import { hkdfSync } from "node:crypto";
import { isDisabled, openAccountsDatabase, recordSignInChange, type Store } from "@penstock/store";
import type { Logger } from "@penstock/telemetry";
import type { ConsoleConfig } from "@penstock/schemas";
import { betterAuth, type BetterAuthOptions } from "better-auth";
import { genericOAuth } from "better-auth/plugins/generic-oauth";
import type { PublicPlace } from "../api/same-origin.ts";
import { signInByLink } from "./sign-in-by-link.ts";

/** Set by the app from the address that it trusts, whatever a client has sent. */
export const ADDRESS_HEADER = "x-penstock-address";
export const AUTH_PATH = "/api/v1/auth";

/** Of the provider of identities, in addresses and in the table of credentials. */
export const OIDC = "oidc";

const DAY_S = 24 * 60 * 60;

export interface AuthOptions {
  readonly store: Store;
  readonly place: PublicPlace;
  /** The first signs, the others are ignored. */
  readonly masterKeys: string;
  readonly oidc: ConsoleConfig["oidc"];
  readonly log: Logger;
}

/** Accounts: passwords, sessions and their cookies, and how often one may try. What somebody may do is decided elsewhere. */
export function createAuth({ store, place, masterKeys, oidc, log }: AuthOptions) {
  return betterAuth({
    appName: "Penstock",
    baseURL: place.origin ?? { allowedHosts: ["localhost:*", "127.0.0.1:*", "[::1]:*"], protocol: "http" },
    basePath: `${place.basePath}${AUTH_PATH}`,
    secret: deriveSecret(masterKeys),
    database: openAccountsDatabase(store),
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 12, maxPasswordLength: 128 },
    user: {
      modelName: "people",
      fields: { emailVerified: "email_verified", createdAt: "created_at", updatedAt: "updated_at" },
      additionalFields: {
        role: { type: "string", input: false, defaultValue: "viewer" },
        seesPayloads: { type: "boolean", input: false, defaultValue: false, fieldName: "sees_payloads" },
        language: { type: "string", input: false, required: false },
        theme: { type: "string", input: false, defaultValue: "system" },
        disabledAt: { type: "date", input: false, required: false, fieldName: "disabled_at" },
      },
    },
    session: {
      modelName: "sessions",
      fields: {
        userId: "person_id",
        expiresAt: "expires_at",
        ipAddress: "ip_address",
        userAgent: "user_agent",
        createdAt: "created_at",
        updatedAt: "updated_at",
      },
      expiresIn: 14 * DAY_S,
      updateAge: DAY_S,
    },
    account: {
      modelName: "credentials",
      encryptOAuthTokens: true,
      // Who was invited is found by the address that the provider vouches for.
      accountLinking: { enabled: true, trustedProviders: [OIDC] },
      fields: {
        userId: "person_id",
        providerId: "provider",
        accountId: "account_id",
        accessToken: "access_token",
        refreshToken: "refresh_token",
        idToken: "id_token",
        accessTokenExpiresAt: "access_token_expires_at",
        refreshTokenExpiresAt: "refresh_token_expires_at",
        createdAt: "created_at",
        updatedAt: "updated_at",
      },
    },
    verification: {
      modelName: "verifications",
      storeIdentifier: "hashed",
      fields: { expiresAt: "expires_at", createdAt: "created_at", updatedAt: "updated_at" },
    },
    rateLimit: {
      enabled: true,
      storage: "database",
      modelName: "sign_in_limits",
      fields: { lastRequest: "last_request" },
      window: 60,
      max: 100,
      customRules: {
        "/sign-in/email": { window: 60, max: 10 },
        // Nobody guesses a link. A team that is invited at once comes from one address.
        "/sign-in/link": { window: 60, max: 60 },
      },
    },
    databaseHooks: {
      account: {
        create: {
          // A password is put on record by its route, which knows whether it was set or changed.
          after: async ({ userId, providerId }) => {
            if (providerId === "credential") return;
            await recordSignInChange(store, userId, "people.sign-in-method", { added: providerId });
          },
        },
      },
      session: {
        create: {
          // False: no session is made, however somebody has proved who they are.
          before: async (session) => ((await isDisabled(store, session.userId)) ? false : undefined),
        },
      },
    },
    advanced: {
      cookiePrefix: "penstock",
      useSecureCookies: place.origin?.startsWith("https:") ?? false,
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER] },
      defaultCookieAttributes: { path: `${place.basePath}/`, httpOnly: true, sameSite: "lax" },
      cookies: { session_token: { attributes: { sameSite: "strict" } } },
    },
    plugins: [signInByLink(store), ...(oidc === null ? [] : [signInByOidc(oidc)])],
    telemetry: { enabled: false },
    logger: { log: (level, message) => log[level](`accounts: ${message}`) },
  } satisfies BetterAuthOptions);
}

/** Lets in who was invited, and nobody else, whoever the provider knows. */
function signInByOidc({ issuer, clientId, clientSecret }: NonNullable<ConsoleConfig["oidc"]>) {
  const discoveryUrl = `${issuer}/.well-known/openid-configuration`;
  const scopes = ["openid", "email", "profile"];
  return genericOAuth({
    config: [
      {
        providerId: OIDC,
        discoveryUrl,
        clientId,
        clientSecret,
        scopes,
        pkce: true,
        requireIdTokenVerification: true,
        disableSignUp: true,
      },
    ],
  });
}

export type Auth = ReturnType<typeof createAuth>;

/** What cookies are signed with, made of the master key, so that it is the same for every console and needs no place. */
function deriveSecret(masterKeys: string): string {
  const [first = ""] = masterKeys.split(",");
  return Buffer.from(
    hkdfSync("sha256", Buffer.from(first.trim(), "base64"), "", "penstock console sessions", 32),
  ).toString("base64");
}
