import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { ErrorNotice } from "./notice.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Refused requests",
    none: "None on record.",
    looking: "It is being looked for: ingest writes down what it refused within a second.",
    notFound: "It is not on record. When many requests are refused at once, ingest keeps only some of them.",
    more: "Show more",
    from: "from {address}",
    body: "body {bytes} B",
    noBody: "body not read",
    leftOut: { one: "{count} other was refused before it", other: "{count} others were refused before it" },
    details: "What was sent",
    // By the reason of the refusal; what was found out about this very request stands below, as ingest says it.
    "missing-signature": "The signature is missing: the provider does not sign, or something took the header away.",
    "malformed-signature": "The signature has not the form that this provider sends.",
    mismatch: "No secret makes this signature: another secret, or the body was changed on its way.",
    "timestamp-out-of-tolerance": "The signature is right and too old: a clock is wrong, or the request was held up.",
    "verify-failed": "The code of this source threw while it verified: see verify of its definition.",
    "content-encoding": "The body is encoded, and is not taken so: hand it on as it was signed.",
  },
  it: {
    title: "Richieste rifiutate",
    none: "Nessuna registrata.",
    looking: "La si sta cercando: ingest registra entro un secondo ciò che ha rifiutato.",
    notFound: "Non è registrata. Quando le richieste rifiutate sono molte insieme, ingest ne conserva solo alcune.",
    more: "Mostra altre",
    from: "da {address}",
    body: "corpo {bytes} B",
    noBody: "corpo non letto",
    leftOut: { one: "prima ne è stata rifiutata {count} altra", other: "prima ne sono state rifiutate altre {count}" },
    details: "Che cosa è stato inviato",
    "missing-signature": "Manca la firma: il provider non firma, oppure qualcosa ha tolto l'intestazione.",
    "malformed-signature": "La firma non ha la forma che questo provider invia.",
    mismatch: "Nessun segreto produce questa firma: il segreto è un altro, o il corpo è stato cambiato per strada.",
    "timestamp-out-of-tolerance":
      "La firma è giusta ma vecchia: un orologio è sbagliato, o la richiesta è stata trattenuta.",
    "verify-failed":
      "Il codice di questa sorgente ha dato un errore nella verifica: vedi verify nella sua definizione.",
    "content-encoding": "Il corpo è codificato e così non viene accettato: va inoltrato come è stato firmato.",
  },
});

const EXPLAINED = [
  "missing-signature",
  "malformed-signature",
  "mismatch",
  "timestamp-out-of-tolerance",
  "verify-failed",
  "content-encoding",
] as const;
const isExplained = (reason: string): reason is (typeof EXPLAINED)[number] =>
  EXPLAINED.some((explained) => explained === reason);

const FEW = 3;
const MOST = 100;
/** What was refused is on record within a second; nobody looks for it longer than this. */
const LOOKED_FOR_MS = 15_000;

/**
 * The last requests of a source that were refused, each with the reason in sentences. With `after`, the one that comes after the
 * request of this id is looked for until it is there.
 */
export function RefusedRequests({ source, after }: { source: string; after?: number }) {
  const t = useTexts(texts);
  const [limit, setLimit] = useState(FEW);
  const [gaveUp, setGaveUp] = useState<number>();
  useEffect(() => {
    if (after === undefined) return undefined;
    const timer = setTimeout(() => setGaveUp(after), LOOKED_FOR_MS);
    return () => clearTimeout(timer);
  }, [after]);
  const isMissing = (newest: { id: number } | undefined): boolean => after !== undefined && (newest?.id ?? 0) <= after;
  const refused = useQuery({
    queryKey: ["refused-requests", source, limit],
    queryFn: ({ signal }) => api.call("GET /refused-requests", { query: { source, limit }, signal }),
    refetchInterval: ({ state }) => (isMissing(state.data?.items[0]) && gaveUp !== after ? 500 : 5_000),
    placeholderData: (before) => before,
  });
  const items = refused.data?.items ?? [];
  return (
    <section aria-label={`${t("title")}: ${source}`} className="flex flex-col gap-2">
      <h3 className="font-semibold">{t("title")}</h3>
      {refused.error && <ErrorNotice error={refused.error} onRetry={() => void refused.refetch()} />}
      {refused.isSuccess && isMissing(items[0]) && (
        <p role="status" className="text-dim">
          {t(gaveUp === after ? "notFound" : "looking")}
        </p>
      )}
      {refused.isSuccess && items.length === 0 && after === undefined && <p className="text-dim">{t("none")}</p>}
      <ul className="flex flex-col gap-2">
        {items.map((request) => (
          <li key={request.id} className="border-l-2 border-line pl-3">
            <p>
              <TimeAgo time={request.at} />{" "}
              <span className="font-medium">
                {request.status} {request.reason}
              </span>{" "}
              <span className="text-dim">
                {t("from", { address: request.address })},{" "}
                {request.bodyBytes === null ? t("noBody") : t("body", { bytes: request.bodyBytes })}
              </span>
            </p>
            {isExplained(request.reason) && <p>{t(request.reason)}</p>}
            <ul className="list-disc pl-5" lang="en">
              {request.findings.map((finding) => (
                <li key={finding}>{finding}</li>
              ))}
            </ul>
            {request.leftOut > 0 && <p className="text-dim">{t("leftOut", { count: request.leftOut })}</p>}
            <details className="text-dim">
              <summary>{t("details")}</summary>
              <pre className="overflow-x-auto font-mono text-xs">
                {[
                  `${request.method} ${request.path}`,
                  ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
                  ...(request.bodySha256 === null ? [] : [`SHA-256 ${request.bodySha256}`]),
                ].join("\n")}
              </pre>
            </details>
          </li>
        ))}
      </ul>
      {refused.data?.next != null && limit < MOST && (
        <div>
          <Button onClick={() => setLimit(MOST)}>{t("more")}</Button>
        </div>
      )}
    </section>
  );
}
