import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { ErrorNotice } from "./notice.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Refused requests",
    none: "None on record.",
    more: "Show more",
    from: "from {address}",
    body: "body {bytes} B",
    noBody: "body not read",
    leftOut: { one: "{count} other was refused before it", other: "{count} others were refused before it" },
    details: "What was sent",
  },
  it: {
    title: "Richieste rifiutate",
    none: "Nessuna registrata.",
    more: "Mostra altre",
    from: "da {address}",
    body: "corpo {bytes} B",
    noBody: "corpo non letto",
    leftOut: { one: "prima ne è stata rifiutata {count} altra", other: "prima ne sono state rifiutate altre {count}" },
    details: "Che cosa è stato inviato",
  },
});

const FEW = 3;
const MOST = 100;

/** The last requests of a source that were refused, each with the reason in sentences. */
export function RefusedRequests({ source }: { source: string }) {
  const t = useTexts(texts);
  const [limit, setLimit] = useState(FEW);
  const refused = useQuery({
    queryKey: ["refused-requests", source, limit],
    queryFn: ({ signal }) => api.call("GET /refused-requests", { query: { source, limit }, signal }),
    refetchInterval: 5_000,
    placeholderData: (before) => before,
  });
  const items = refused.data?.items ?? [];
  return (
    <section aria-label={`${t("title")}: ${source}`} className="flex flex-col gap-2">
      <h3 className="font-semibold">{t("title")}</h3>
      {refused.error && <ErrorNotice error={refused.error} onRetry={() => void refused.refetch()} />}
      {refused.isSuccess && items.length === 0 && <p className="text-dim">{t("none")}</p>}
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
            <ul className="list-disc pl-5">
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
