import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { SubmitEvent } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { SelectField, TextField } from "./field.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";
import { Panel } from "./panel.tsx";

type Me = RouteAnswer<AdminRoutes["GET /me"]>;

const texts = defineTexts({
  en: {
    title: "My account",
    language: "Language",
    browser: "That of the browser",
    theme: "Theme",
    system: "That of the system",
    light: "Light",
    dark: "Dark",
    email: "Email",
    emailHint: "You sign in with this address.",
    setPassword: "Set a password",
    changePassword: "Change the password",
    current: "Current password",
    password: "New password",
    passwordHint: "At least 12 characters",
    passwordSet: "The password is set.",
  },
  it: {
    title: "Il mio account",
    language: "Lingua",
    browser: "Quella del browser",
    theme: "Tema",
    system: "Quello del sistema",
    light: "Chiaro",
    dark: "Scuro",
    email: "Email",
    emailHint: "Accedi con questo indirizzo.",
    setPassword: "Imposta una password",
    changePassword: "Cambia la password",
    current: "Password attuale",
    password: "Nuova password",
    passwordHint: "Almeno 12 caratteri",
    passwordSet: "La password è impostata.",
  },
});

/** What people can change of themselves. */
export function MyAccount({ me }: { me: Me }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (body: { language?: Me["language"]; theme?: Me["theme"] }) => api.call("PATCH /me", { body }),
    onSuccess: (changed) => queries.setQueryData(["me"], changed),
  });
  const setPassword = useMutation({
    mutationFn: (body: { password: string; current?: string }) => api.call("PUT /me/password", { body }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["me"] }),
  });
  const onPassword = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const body = {
      password: formText(form, "password"),
      ...(me.hasPassword && { current: formText(form, "current") }),
    };
    setPassword.mutate(body, { onSuccess: () => form.reset() });
  };
  return (
    <Panel title={t("title")}>
      <div className="grid gap-6 md:grid-cols-2">
        <div className="flex flex-col gap-3">
          <SelectField
            label={t("language")}
            value={me.language ?? ""}
            options={[
              { value: "", label: t("browser") },
              { value: "en", label: "English" },
              { value: "it", label: "Italiano" },
            ]}
            onValue={(language) => change.mutate({ language: language === "" ? null : language })}
          />
          <SelectField
            label={t("theme")}
            value={me.theme}
            options={(["system", "light", "dark"] as const).map((value) => ({ value, label: t(value) }))}
            onValue={(theme) => change.mutate({ theme })}
          />
          {change.error && <ErrorNotice error={change.error} />}
        </div>
        <form onSubmit={onPassword} className="flex flex-col gap-3">
          <TextField
            label={t("email")}
            hint={t("emailHint")}
            name="username"
            autoComplete="username"
            value={me.email ?? ""}
            readOnly
          />
          {me.hasPassword && (
            <TextField label={t("current")} name="current" type="password" autoComplete="current-password" required />
          )}
          <TextField
            label={t("password")}
            hint={t("passwordHint")}
            name="password"
            type="password"
            autoComplete="new-password"
            minLength={12}
            required
          />
          {setPassword.error && <ErrorNotice error={setPassword.error} />}
          {setPassword.isSuccess && <Notice tone="good">{t("passwordSet")}</Notice>}
          <div>
            <Button type="submit" disabled={setPassword.isPending}>
              {t(me.hasPassword ? "changePassword" : "setPassword")}
            </Button>
          </div>
        </form>
      </div>
    </Panel>
  );
}
