import type { signInRoutes } from "@penstock/schemas/admin";
import type { Request, Response } from "express";
import { fromNodeHeaders } from "better-auth/node";
import { ADDRESS_HEADER, type Auth, AUTH_PATH, OIDC } from "../accounts/create-auth.ts";
import { Problem, sendProblem } from "../api/problem.ts";
import type { Call, Handlers } from "../api/register-routes.ts";
import { originOf, type PublicPlace } from "../api/same-origin.ts";

/** Hands these requests, and no others, to the library for accounts, which also counts how often somebody tries. */
export function createSignInHandlers(auth: Auth, place: PublicPlace): Handlers<typeof signInRoutes> {
  const forward =
    (path: string) =>
    async (_input: unknown, { req, res }: Call): Promise<void> => {
      await send(await auth.handler(toFetchRequest(req, path, place)), res);
    };
  return {
    "POST /auth/sign-in/email": forward("/sign-in/email"),
    "POST /auth/sign-in/link": forward("/sign-in/link"),
    "POST /auth/sign-in/oidc": async ({ body: { to } }, { req, res }) => {
      const origin = originOf(req, place);
      // A path of the page and nothing else: an address elsewhere would be a trap.
      const path = to?.startsWith(`${place.basePath}/`) && !to.startsWith("//") ? to : `${place.basePath}/`;
      const body = {
        provider: OIDC,
        callbackURL: `${origin}${path}`,
        errorCallbackURL: `${origin}${place.basePath}/sign-in`,
        disableRedirect: true,
      };
      const answer = await auth.handler(toFetchRequest(req, "/sign-in/social", place, body));
      const { url } = (await answer.clone().json()) as { url?: string };
      await send(answer, res, { url });
    },
    "GET /auth/callback/oidc": forward(`/callback/${OIDC}`),
    "POST /auth/sign-out": forward("/sign-out"),
  };
}

function toFetchRequest(req: Request, path: string, place: PublicPlace, body: unknown = req.body): globalThis.Request {
  const url = new URL(`${originOf(req, place)}${place.basePath}${AUTH_PATH}${path}`);
  url.search = new URL(req.originalUrl, url).search;
  const headers = fromNodeHeaders(req.headers);
  headers.set(ADDRESS_HEADER, req.ip ?? "unknown");
  headers.set("host", url.host);
  headers.delete("content-length");
  if (req.method === "GET") return new globalThis.Request(url, { headers });
  headers.set("content-type", "application/json");
  return new globalThis.Request(url, { method: req.method, headers, body: JSON.stringify(body ?? {}) });
}

async function send(answer: globalThis.Response, res: Response, told: object = { ok: true }): Promise<void> {
  const cookies = answer.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader("set-cookie", cookies);
  const location = answer.headers.get("location");
  if (location !== null) {
    res.redirect(answer.status, location);
    return;
  }
  if (answer.ok) {
    // The library tells more of the session than a page needs.
    res.status(200).json(told);
    return;
  }
  const { message } = (await answer.json().catch(() => ({}))) as { message?: string };
  const retryAfter = answer.headers.get("x-retry-after");
  const headers = retryAfter === null ? {} : { "retry-after": retryAfter };
  sendProblem(res, new Problem(answer.status, message ?? "This did not work", { headers }));
}
