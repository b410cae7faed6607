import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: { strip: "{ok} of the last {count} deliveries succeeded, {bad} failed", none: "No deliveries yet" },
  it: { strip: "{ok} delle ultime {count} consegne riuscite, {bad} fallite", none: "Ancora nessuna consegna" },
});

const COLOURS: Readonly<Record<string, string>> = {
  succeeded: "bg-good",
  dead: "bg-bad",
  retrying: "bg-warn",
  skipped: "bg-warn",
};

/** How the last deliveries have fared, a bar each, the newest on the right. */
export function HealthStrip({ states, most = 50 }: { states: readonly string[]; most?: number }) {
  const t = useTexts(texts);
  if (states.length === 0) return <span className="text-dim">{t("none")}</span>;
  const shown = states.slice(-most);
  const ok = shown.filter((state) => state === "succeeded").length;
  const bad = shown.filter((state) => state === "dead" || state === "retrying").length;
  const label = t("strip", { ok, bad, count: shown.length });
  return (
    <span role="img" aria-label={label} title={label} className="inline-flex h-5 items-end gap-px align-middle">
      {shown.map((state, at) => (
        // By its place: bars have no other name.
        <span
          key={at}
          className={`w-1 rounded-xs ${COLOURS[state] ?? "bg-line"} ${state === "succeeded" ? "h-3" : "h-5"}`}
        />
      ))}
    </span>
  );
}
