import { type accountRoutes, LANGUAGES, THEMES } from "@penstock/schemas/admin";
import {
  addPerson,
  changePerson,
  createApiToken,
  createSignInLink,
  hasPassword,
  listApiTokens,
  listPeople,
  type Person,
  recordSignInChange,
  revokeApiToken,
  type Store,
  updateSelf,
} from "@penstock/store";
import { fromNodeHeaders } from "better-auth/node";
import { isAPIError } from "better-auth/api";
import { z } from "zod";
import type { Auth } from "../accounts/create-auth.ts";
import type { Principal } from "../api/principal.ts";
import { Problem } from "../api/problem.ts";
import type { Call, Handlers } from "../api/register-routes.ts";
import { originOf, type PublicPlace } from "../api/same-origin.ts";

/** Of invitations: somebody may be away over a weekend. */
const LINK_MINUTES = 3 * 24 * 60;

const language = z.enum(LANGUAGES).nullable().catch(null);
const theme = z.enum(THEMES).catch("system");

export function createAccountHandlers(store: Store, auth: Auth, place: PublicPlace): Handlers<typeof accountRoutes> {
  const toMe = async (who: Principal) => ({
    kind: who.kind,
    id: who.id,
    name: who.name,
    email: who.email,
    role: who.role,
    seesPayloads: who.seesPayloads,
    language: language.parse(who.language),
    theme: theme.parse(who.theme),
    hasPassword: who.kind === "person" && (await hasPassword(store, who.id)),
  });
  const linkFor = async (person: Person, { req, principal }: Call) => {
    const { token, expiresAt } = await createSignInLink(store, person, LINK_MINUTES, principal.actor);
    // After the hash, so that it reaches no log of a proxy.
    return { url: `${originOf(req, place)}${place.basePath}/sign-in#link=${token}`, expiresAt };
  };
  return {
    "GET /me": (_input, { principal }) => toMe(principal),
    "PATCH /me": async ({ body }, { principal }) => {
      assertPerson(principal);
      await updateSelf(store, principal.id, body);
      return toMe({
        ...principal,
        name: body.name ?? principal.name,
        language: body.language === undefined ? principal.language : body.language,
        theme: body.theme ?? principal.theme,
      });
    },
    "PUT /me/password": async ({ body: { password, current } }, { principal, req }) => {
      assertPerson(principal);
      const headers = fromNodeHeaders(req.headers);
      try {
        if (!(await hasPassword(store, principal.id))) {
          await auth.api.setPassword({ body: { newPassword: password }, headers });
          await recordSignInChange(store, principal.id, "people.password", { set: true });
          return undefined;
        }
        if (current === undefined) throw new Problem(400, "The current password is needed to change it");
        const body = { newPassword: password, currentPassword: current, revokeOtherSessions: true };
        await auth.api.changePassword({ body, headers });
        await recordSignInChange(store, principal.id, "people.password", { changed: true });
        return undefined;
      } catch (error) {
        if (isAPIError(error)) throw new Problem(400, error.message || "The password was not changed");
        throw error;
      }
    },
    "GET /people": async () => ({ items: await listPeople(store) }),
    "POST /people": async ({ body }, call) => {
      const person = await addPerson(store, body, call.principal.actor);
      if (person === null) throw new Problem(409, `${body.email} is there already`);
      return { person, link: await linkFor(person, call) };
    },
    "PATCH /people/{id}": async ({ path: { id }, body }, { principal }) => {
      const change = await changePerson(store, id, body, principal.actor);
      if (change.ok) return change.person;
      if (change.reason === "unknown") throw new Problem(404, "There is nobody with this id");
      throw new Problem(409, "This is the last admin", { detail: "Make somebody else an admin first." });
    },
    "POST /people/{id}/link": async ({ path: { id } }, call) => {
      const person = (await listPeople(store)).find((each) => each.id === id);
      if (person === undefined) throw new Problem(404, "There is nobody with this id");
      if (person.disabledAt !== null)
        throw new Problem(409, `${person.name} may not sign in`, { detail: "Enable them first." });
      return linkFor(person, call);
    },
    "GET /tokens": async () => ({ items: await listApiTokens(store) }),
    "POST /tokens": ({ body }, { principal }) => createApiToken(store, body, principal.actor),
    "DELETE /tokens/{id}": async ({ path: { id } }, { principal }) => {
      if (!(await revokeApiToken(store, id, principal.actor))) throw new Problem(404, "There is no token with this id");
      return undefined;
    },
  };
}

function assertPerson({ kind }: Principal): void {
  if (kind === "token") throw new Problem(403, "A token has no account: sign in for this");
}
