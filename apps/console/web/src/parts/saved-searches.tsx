import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: { save: "Save this search", saved: "Saved searches", forget: "Forget {query}" },
  it: { save: "Salva questa ricerca", saved: "Ricerche salvate", forget: "Dimentica {query}" },
});

const KEY = "penstock-searches";
const MOST = 20;

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((query) => typeof query === "string") : [];
  } catch {
    return [];
  }
}

/** Searches that this browser remembers, as links; and a way to have the present one remembered. */
export function SavedSearches({ query }: { query: string }) {
  const t = useTexts(texts);
  const [saved, setSaved] = useState(read);
  const keep = (next: readonly string[]): void => {
    localStorage.setItem(KEY, JSON.stringify(next));
    setSaved([...next]);
  };
  return (
    <nav aria-label={t("saved")} className="flex flex-wrap items-center gap-2 text-xs">
      {saved.map((each) => (
        <span key={each} className="inline-flex items-center gap-1 rounded-full border border-line px-2 py-0.5">
          <Link to="/events" search={{ q: each }} className="font-mono">
            {each}
          </Link>
          <button
            type="button"
            aria-label={t("forget", { query: each })}
            onClick={() => keep(saved.filter((one) => one !== each))}
          >
            ×
          </button>
        </span>
      ))}
      {query !== "" && !saved.includes(query) && (
        <button type="button" className="text-accent underline" onClick={() => keep([query, ...saved].slice(0, MOST))}>
          {t("save")}
        </button>
      )}
    </nav>
  );
}
