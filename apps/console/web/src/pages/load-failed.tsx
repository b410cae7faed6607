import { type ErrorComponentProps, useRouter } from "@tanstack/react-router";
import { defineTexts, useTexts } from "../app/language.tsx";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page } from "../parts/panel.tsx";

const texts = defineTexts({
  en: { title: "This page could not be shown" },
  it: { title: "Non è stato possibile mostrare questa pagina" },
});

export function LoadFailed({ error }: ErrorComponentProps) {
  const t = useTexts(texts);
  const router = useRouter();
  return (
    <Page title={t("title")}>
      <ErrorNotice
        error={error instanceof Error ? error : new Error(String(error))}
        onRetry={() => void router.invalidate()}
      />
    </Page>
  );
}
