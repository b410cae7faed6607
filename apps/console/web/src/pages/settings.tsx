import { useQuery } from "@tanstack/react-query";
import { defineTexts, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { Page } from "../parts/panel.tsx";
import { MyAccount } from "../parts/my-account.tsx";

const texts = defineTexts({ en: { title: "Settings" }, it: { title: "Impostazioni" } });

export function SettingsPage() {
  const t = useTexts(texts);
  const { data: me } = useQuery(meQuery);
  return <Page title={t("title")}>{me && <MyAccount me={me} />}</Page>;
}
