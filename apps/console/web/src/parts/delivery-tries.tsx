import { useQuery } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { formatMs } from "./measures.ts";
import { ErrorNotice } from "./notice.tsx";
import { OfReplay } from "./of-replay.tsx";
import { useOutcome } from "./outcome-texts.ts";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    try: "Try {number}",
    took: "took {time}",
    taken: "The receiver took it: it answered with a 2xx.",
    none: "It was not tried yet.",
    request: "POST {url} (as it is set now), the event as JSON, signed anew for each try",
    trace: "trace {id}",
  },
  it: {
    try: "Tentativo {number}",
    took: "in {time}",
    taken: "Il ricevente l'ha accettato: ha risposto con un 2xx.",
    none: "Non è ancora stato tentato.",
    request: "POST {url} (come è impostato ora), l'evento come JSON, firmato di nuovo a ogni tentativo",
    trace: "traccia {id}",
  },
});

/** What was sent for a delivery, and of each try what was answered. */
export function DeliveryTries({ endpoint, seq, url }: { endpoint: string; seq: number; url: string | undefined }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const outcome = useOutcome();
  const tries = useQuery({
    queryKey: ["endpoints", endpoint, "tries", seq],
    queryFn: ({ signal }) => api.call("GET /endpoints/{id}/deliveries/{seq}", { path: { id: endpoint, seq }, signal }),
    refetchInterval: 5_000,
  });
  if (tries.error) return <ErrorNotice error={tries.error} onRetry={() => void tries.refetch()} />;
  if (!tries.data) return null;
  if (tries.data.attemptLog.length === 0) return <p className="text-dim">{t("none")}</p>;
  const { source, eventId } = tries.data;
  return (
    <ol className="flex flex-col gap-2">
      {url !== undefined && <li className="max-w-xl text-dim">{t("request", { url })}</li>}
      {tries.data.attemptLog.map((each) => (
        <li key={`${each.attempt} ${each.endedAt} ${each.outcome}`} className="rounded-md bg-sunken p-2">
          <p>
            {t("try", { number: each.attempt })}: <b>{outcome(each.outcome)}</b> <TimeAgo time={each.endedAt} />
            {each.startedAt !== null && (
              <span className="text-dim">
                {" · "}
                {t("took", { time: formatMs(Date.parse(each.endedAt) - Date.parse(each.startedAt), language) })}
              </span>
            )}
            {each.traceparent !== null && (
              <span className="block font-mono text-xs text-dim">
                {t("trace", { id: each.traceparent.split("-")[1] ?? "" })}
              </span>
            )}
          </p>
          {each.replay !== null && <OfReplay event={{ source, id: eventId ?? `seq:${seq}` }} replay={each.replay} />}
          {each.outcome === "succeeded" && <p className="text-dim">{t("taken")}</p>}
          {each.errorClass !== null && (
            <pre className="mt-1 max-w-xl overflow-x-auto text-xs whitespace-pre-wrap">
              {each.errorClass}
              {"\n"}
              {each.errorMessage}
            </pre>
          )}
          {each.note !== null && <p className="text-dim">{each.note}</p>}
        </li>
      ))}
    </ol>
  );
}
