import { ApiError } from "@penstock/client";
import type { ReactNode } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: { failed: "This did not work.", retry: "Try again" },
  it: { failed: "Non ha funzionato.", retry: "Riprova" },
});

const TONES = { bad: "border-bad text-bad", good: "border-good text-good", plain: "border-line text-dim" } as const;

/** Something to know, read aloud by screen readers as it appears. */
export function Notice({ tone = "plain", children }: { tone?: keyof typeof TONES; children: ReactNode }) {
  return (
    <div role={tone === "bad" ? "alert" : "status"} className={`rounded-md border bg-panel px-3 py-2 ${TONES[tone]}`}>
      {children}
    </div>
  );
}

/** What went wrong, what to do, and a way to try again. */
export function ErrorNotice({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const t = useTexts(texts);
  const detail = error instanceof ApiError ? error.detail : undefined;
  const errors = error instanceof ApiError ? error.errors : [];
  return (
    <Notice tone="bad">
      <p className="font-medium">{error instanceof ApiError ? error.message : t("failed")}</p>
      {detail !== undefined && <p>{detail}</p>}
      {errors.map(({ path, message }) => (
        <p key={`${path} ${message}`}>
          <code>{path}</code>: {message}
        </p>
      ))}
      {onRetry && (
        <button type="button" className="mt-1 underline" onClick={onRetry}>
          {t("retry")}
        </button>
      )}
    </Notice>
  );
}
