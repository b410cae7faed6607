import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: {
    succeeded: "succeeded",
    failed: "failed",
    "timed-out": "timed out",
    interrupted: "interrupted",
    retried: "retried",
    skipped: "skipped",
    cancelled: "cancelled",
  },
  it: {
    succeeded: "riuscito",
    failed: "fallito",
    "timed-out": "tempo scaduto",
    interrupted: "interrotto",
    retried: "ritentato",
    skipped: "saltato",
    cancelled: "annullato",
  },
});

const isKnown = (outcome: string): outcome is keyof typeof texts.en => Object.hasOwn(texts.en, outcome);

/** The outcome of a try, or what was done in between, in words. */
export function useOutcome(): (outcome: string) => string {
  const t = useTexts(texts);
  return (outcome) => (isKnown(outcome) ? t(outcome) : outcome);
}
