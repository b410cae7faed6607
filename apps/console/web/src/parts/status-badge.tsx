import { defineTexts, useTexts } from "../app/language.tsx";

/** What states are called, on each page that shows some. */
export const stateTexts = defineTexts({
  en: {
    pending: "pending",
    processed: "processed",
    quarantined: "quarantined",
    running: "running",
    succeeded: "succeeded",
    retrying: "retrying",
    dead: "dead letter",
    skipped: "skipped",
    cancelled: "cancelled",
    progress: "in progress",
  },
  it: {
    pending: "in attesa",
    processed: "elaborato",
    quarantined: "in quarantena",
    running: "in corso",
    succeeded: "riuscito",
    retrying: "da ritentare",
    dead: "dead letter",
    skipped: "saltato",
    cancelled: "annullato",
    progress: "in corso",
  },
});

export type Shown = keyof typeof stateTexts.en;

const TONES: Partial<Record<Shown, string>> = {
  succeeded: "text-good",
  processed: "text-good",
  dead: "text-bad",
  quarantined: "text-bad",
  retrying: "text-warn",
};

/** A state, in words and in colour. */
export function StatusBadge({ state }: { state: Shown }) {
  const t = useTexts(stateTexts);
  return <span className={`whitespace-nowrap ${TONES[state] ?? "text-dim"}`}>{t(state)}</span>;
}

/** What became of an event as a whole: of its deliveries the one that asks for the most attention. */
export function statusOf(event: {
  readonly status: "pending" | "processed" | "quarantined";
  readonly deliveries: readonly { readonly state: string }[];
}): Shown {
  const states = new Set(event.deliveries.map(({ state }) => state));
  if (event.status !== "processed") return event.status;
  if (states.has("dead")) return "dead";
  if (states.has("retrying")) return "retrying";
  return states.has("pending") || states.has("running") ? "progress" : "processed";
}
