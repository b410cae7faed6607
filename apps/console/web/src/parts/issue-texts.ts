import type { IssueKind } from "@penstock/schemas";
import { defineTexts } from "../app/language.tsx";

/** What issues are called, on each page that shows some. */
export const issueTexts = defineTexts({
  en: {
    "dead-letter": "Dead letters",
    quarantine: "Quarantine",
    refused: "Refused requests",
    "failing-endpoint": "Endpoint down",
    "blocked-lane": "Blocked lanes",
    "silent-source": "Silent source",
    open: "open",
    acknowledged: "acknowledged",
    resolved: "resolved",
    ignored: "ignored",
    left: { one: "{count} left", other: "{count} left" },
    leftAtLeast: "{count} or more left",
    "other-errors": "other errors: too many kinds to tell apart",
    "it-failed": "it failed",
    "quarantine-title": "events in quarantine: {reason}",
    "refused-title": "requests are refused: {reason}",
    "failing-endpoint-title": "the endpoint does not take what is sent to it",
    "blocked-lane-title": "lanes wait behind a dead letter",
    "silent-source-title": "it has sent nothing for longer than usual",
    "silent-by-setting": "it has sent nothing for longer than its silentAfter of {reason}",
    "dead-letter-remedy": "Look at an example, mend the handler, then retry all.",
    "quarantine-remedy": "See why they were not understood; retry all once they are, or dismiss them.",
    "refused-remedy": "Compare the signing secret with the provider's: the source's page says why each was refused.",
    "failing-endpoint-remedy": "Test the endpoint; once it answers, recover what it missed.",
    "blocked-lane-remedy": "Retry or skip the dead letter that each lane waits for.",
    "silent-source-remedy": "Ask the provider whether its webhook is still on.",
  },
  it: {
    "dead-letter": "Consegne fallite",
    quarantine: "Quarantena",
    refused: "Richieste rifiutate",
    "failing-endpoint": "Endpoint irraggiungibile",
    "blocked-lane": "Corsie bloccate",
    "silent-source": "Sorgente muta",
    open: "aperto",
    acknowledged: "preso in carico",
    resolved: "risolto",
    ignored: "ignorato",
    left: { one: "{count} rimasto", other: "{count} rimasti" },
    leftAtLeast: "{count} o più rimasti",
    "other-errors": "altri errori: di troppi tipi per distinguerli",
    "it-failed": "è fallita",
    "quarantine-title": "eventi in quarantena: {reason}",
    "refused-title": "richieste rifiutate: {reason}",
    "failing-endpoint-title": "l'endpoint non accetta ciò che gli viene inviato",
    "blocked-lane-title": "delle corsie attendono dietro una consegna fallita",
    "silent-source-title": "non invia nulla da più tempo del solito",
    "silent-by-setting": "non invia nulla da più tempo del suo silentAfter, che è {reason}",
    "dead-letter-remedy": "Guarda un esempio, correggi l'handler, poi riprova tutto.",
    "quarantine-remedy": "Guarda perché non sono stati capiti; riprova tutto quando lo sono, oppure scartali.",
    "refused-remedy":
      "Confronta il segreto con quello del provider: la pagina della sorgente dice il perché di ogni rifiuto.",
    "failing-endpoint-remedy": "Prova l'endpoint; quando risponde, recupera ciò che ha perso.",
    "blocked-lane-remedy": "Riprova o salta la consegna fallita che ogni corsia aspetta.",
    "silent-source-remedy": "Chiedi al provider se il suo webhook è ancora attivo.",
  },
});

/** What an issue is about in words. Penstock's own sentences are translated, what an error says is not. */
export function titleOf(
  t: (key: keyof typeof issueTexts.en, values: { reason: string }) => string,
  { kind, title }: { kind: IssueKind; title: string },
): string {
  const [, reason = ""] = title.split(/(?:: | silentAfter of )(.*)/s);
  if (kind !== "dead-letter") {
    return t(kind === "silent-source" && reason !== "" ? "silent-by-setting" : `${kind}-title`, { reason });
  }
  if (title === issueTexts.en["other-errors"]) return t("other-errors", { reason });
  return title === issueTexts.en["it-failed"] ? t("it-failed", { reason }) : title;
}

/** Counting ends there. */
const COUNT_LIMIT = 10_000;

/** How many are left of an issue, in words; empty where only a person can tell. */
export function describeLeft(
  t: (key: "left" | "leftAtLeast", values: { count: number }) => string,
  left: number | null,
): string {
  if (left === null) return "";
  return t(left >= COUNT_LIMIT ? "leftAtLeast" : "left", { count: left });
}
