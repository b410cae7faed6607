import { Link } from "@tanstack/react-router";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Page } from "../parts/panel.tsx";

const texts = defineTexts({
  en: { title: "There is no such page", back: "To the events" },
  it: { title: "Questa pagina non esiste", back: "Vai agli eventi" },
});

export function NotFound() {
  const t = useTexts(texts);
  return (
    <Page title={t("title")}>
      <Link to="/events" className="text-accent underline">
        {t("back")}
      </Link>
    </Page>
  );
}
