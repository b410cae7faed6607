import { useMutation } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { signedIn } from "../app/query-client.ts";
import { settings } from "../app/settings.ts";
import icon from "../icon.svg";
import { Button } from "../parts/button.tsx";
import { TextField } from "../parts/field.tsx";
import { ErrorNotice, Notice } from "../parts/notice.tsx";

const texts = defineTexts({
  en: {
    title: "Sign in",
    email: "Email",
    password: "Password",
    submit: "Sign in",
    byOidc: "Sign in with your organisation",
    notKnown: "Your organisation knows you, and this console does not: ask an admin to invite your address.",
    oidcFailed: "Signing in with your organisation did not work ({error}).",
    byLink: "Signing you in by your link…",
    noPassword:
      "No password yet? Use the one-time link that `npm start` printed, or make one: `penstock console link`.",
  },
  it: {
    title: "Accedi",
    email: "Email",
    password: "Password",
    submit: "Accedi",
    byOidc: "Accedi con la tua organizzazione",
    notKnown: "La tua organizzazione ti conosce, questa console no: chiedi a un admin di invitare il tuo indirizzo.",
    oidcFailed: "L'accesso con la tua organizzazione non ha funzionato ({error}).",
    byLink: "Accesso con il tuo link…",
    noPassword:
      "Non hai ancora una password? Usa il link monouso stampato da `npm start`, o creane uno: `penstock console link`.",
  },
});

const route = getRouteApi("/sign-in");

/** What the provider's answer is refused with when nobody invited its person. */
const NOT_KNOWN = "signup_disabled";

/** The token of a one-time link: after the hash, so that no server and no log sees it. Taken out of the address at once. */
function takeLinkToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("link");
  if (token !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}

export function SignInPage() {
  const t = useTexts(texts);
  const { to, error: refused } = route.useSearch();
  const router = useRouter();
  const [token] = useState(takeLinkToken);
  const onSuccess = async (): Promise<void> => {
    await signedIn();
    // A path of this page, as browsers name it, and nothing else: an address elsewhere would be a trap.
    router.history.push(to?.startsWith(settings.basePath) && !to.startsWith("//") ? to : settings.basePath);
  };
  const byLink = useMutation({
    mutationFn: (link: string) => api.call("POST /auth/sign-in/link", { body: { token: link } }),
    onSuccess,
  });
  const byPassword = useMutation({
    mutationFn: (body: { email: string; password: string }) => api.call("POST /auth/sign-in/email", { body }),
    onSuccess,
  });
  const byOidc = useMutation({
    mutationFn: () => api.call("POST /auth/sign-in/oidc", { body: to === undefined ? {} : { to } }),
    onSuccess: ({ url }) => location.assign(url),
  });
  const begun = useRef(false);
  const { mutate: useLink } = byLink;
  useEffect(() => {
    // Once, also where React runs effects twice: a link works once.
    if (token === null || begun.current) return;
    begun.current = true;
    useLink(token);
  }, [token, useLink]);
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    byPassword.mutate({ email: formText(form, "email"), password: formText(form, "password") });
  };
  const error = byPassword.error ?? byLink.error ?? byOidc.error;
  return (
    <main className="grid min-h-screen place-items-center p-4">
      <title>{`${t("title")} · Penstock`}</title>
      <form
        onSubmit={onSubmit}
        className="flex w-full max-w-sm flex-col gap-4 rounded-lg border border-line bg-panel p-6"
      >
        <h1 className="flex items-center gap-2 text-lg font-semibold">
          <img src={icon} alt="" className="size-7" />
          {t("title")}
        </h1>
        {byLink.isPending && <Notice>{t("byLink")}</Notice>}
        {error && <ErrorNotice error={error} />}
        {!error && refused !== undefined && (
          <Notice tone="bad">{refused === NOT_KNOWN ? t("notKnown") : t("oidcFailed", { error: refused })}</Notice>
        )}
        <TextField label={t("email")} name="email" type="email" autoComplete="username" required autoFocus />
        <TextField label={t("password")} name="password" type="password" autoComplete="current-password" required />
        <Button
          type="submit"
          look="primary"
          className="justify-center"
          disabled={byPassword.isPending || byLink.isPending}
        >
          {t("submit")}
        </Button>
        {settings.hasOidc && (
          <Button className="justify-center" onClick={() => byOidc.mutate()} disabled={byOidc.isPending}>
            {t("byOidc")}
          </Button>
        )}
        <p className="text-xs text-dim">{t("noPassword")}</p>
      </form>
    </main>
  );
}
