import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { defineTexts, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { MyAccount } from "../parts/my-account.tsx";
import { Page } from "../parts/panel.tsx";
import { People } from "../parts/people.tsx";
import { Tokens } from "../parts/tokens.tsx";

const texts = defineTexts({
  en: { title: "Settings", audit: "Audit log: who changed what" },
  it: { title: "Impostazioni", audit: "Registro: chi ha cambiato che cosa" },
});

export function SettingsPage() {
  const t = useTexts(texts);
  const { data: me } = useQuery(meQuery);
  return (
    <Page title={t("title")}>
      {me && <MyAccount me={me} />}
      {me?.role === "admin" && <People />}
      {me?.role === "admin" && <Tokens />}
      {me?.role === "admin" && (
        <Link to="/settings/audit" className="underline">
          {t("audit")}
        </Link>
      )}
    </Page>
  );
}
