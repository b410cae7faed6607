import { type Store, useSignInLink } from "@penstock/store";
import type { BetterAuthPlugin } from "better-auth";
import { APIError, createAuthEndpoint } from "better-auth/api";
import { setSessionCookie } from "better-auth/cookies";
import { z } from "zod";

/** `POST /sign-in/link`: a session for the person of a one-time link. By POST, since previews of links fetch them. */
export function signInByLink(store: Store) {
  return {
    id: "penstock-link",
    endpoints: {
      signInByLink: createAuthEndpoint(
        "/sign-in/link",
        { method: "POST", body: z.object({ token: z.string().max(200) }) },
        async (ctx) => {
          const { internalAdapter } = ctx.context;
          const personId = await useSignInLink(store, ctx.body.token);
          const user = personId === null ? null : await internalAdapter.findUserById(personId);
          const session = user === null ? null : await internalAdapter.createSession(user.id);
          if (user === null || !session) {
            throw new APIError("UNAUTHORIZED", { code: "LINK_USED", message: "This link was used, or has run out" });
          }
          await setSessionCookie(ctx, { session, user });
          return ctx.json({ ok: true });
        },
      ),
    },
  } satisfies BetterAuthPlugin;
}
