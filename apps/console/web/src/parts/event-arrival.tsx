import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { formatMs } from "./measures.ts";
import { ErrorNotice, Notice } from "./notice.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    signature: "Signature",
    nothing:
      "Nothing is kept of how it came: its source says so, it was made here, or it came before headers were kept. What is stored was verified when it came.",
    verifiedBy: "Verified by the secret {fingerprint}",
    database: "added to the database",
    environment: "of the environment of ingest, first seen",
    gone: "which has been removed since",
    verified: "It was verified; by which secret is not known.",
    age: "The signature was {age} old when it came.",
    ahead: "The signature was made {age} ahead of the clock here: one of the two clocks is wrong.",
    noTime: "The signature covers no time, so how old it was is not known.",
    headers: "Headers that are kept",
    noHeaders: "None of the headers that are kept was sent.",
    masked: "You may not see payloads: the values are masked.",
    why: "Kept are user-agent, content-type, what is known of the provider, and what `keepsHeaders` names in penstock.sources.ts; never cookies, authorization or the signature itself.",
  },
  it: {
    signature: "Firma",
    nothing:
      "Di come è arrivato non si conserva nulla: così vuole la sorgente, oppure è stato creato qui o è arrivato prima che si conservassero gli header. Ciò che è salvato era stato verificato all'arrivo.",
    verifiedBy: "Verificato con il segreto {fingerprint}",
    database: "aggiunto al database",
    environment: "dell'ambiente di ingest, visto per la prima volta",
    gone: "che nel frattempo è stato rimosso",
    verified: "È stato verificato; con quale segreto non è noto.",
    age: "La firma aveva {age} all'arrivo.",
    ahead: "La firma è avanti di {age} rispetto all'orologio di qui: uno dei due orologi è sbagliato.",
    noTime: "La firma non copre alcun orario, quindi la sua età non è nota.",
    headers: "Header conservati",
    noHeaders: "Nessuno degli header conservati è stato inviato.",
    masked: "Non puoi vedere i contenuti: i valori sono mascherati.",
    why: "Si conservano user-agent, content-type, ciò che è noto del provider e ciò che `keepsHeaders` nomina in penstock.sources.ts; mai cookie, autorizzazioni o la firma stessa.",
  },
});

/** How an event came: what verified it, and the headers that are kept. */
export function EventArrival({ event }: { event: { source: string; id: string } }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const found = useQuery({
    queryKey: ["event-arrival", event],
    queryFn: ({ signal }) => api.call("GET /events/{source}/{id}/arrival", { path: event, signal }),
    staleTime: Infinity,
  });
  if (found.error) return <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return null;
  const { arrival } = found.data;
  if (arrival === null) return <p className="text-dim">{t("nothing")}</p>;
  const { secret, signatureAgeMs, headers } = arrival;
  return (
    <div className="flex flex-col gap-4">
      <section aria-label={t("signature")}>
        <h3 className="mb-1 font-semibold">{t("signature")}</h3>
        {secret === null ? (
          <p>{t("verified")}</p>
        ) : (
          <p>
            <Link to="/sources" className="text-accent underline">
              {t("verifiedBy", { fingerprint: secret.fingerprint })}
            </Link>
            , {t(secret.from)} {secret.addedAt !== null && <TimeAgo time={secret.addedAt} />}
          </p>
        )}
        <p className={signatureAgeMs !== null && signatureAgeMs < -1_000 ? "text-warn" : "text-dim"}>
          {signatureAgeMs === null
            ? t("noTime")
            : t(signatureAgeMs < -1_000 ? "ahead" : "age", { age: formatMs(Math.abs(signatureAgeMs), language) })}
        </p>
      </section>
      <section aria-label={t("headers")}>
        <h3 className="mb-1 font-semibold">{t("headers")}</h3>
        {arrival.masked && <Notice>{t("masked")}</Notice>}
        {headers.length === 0 && <p className="text-dim">{t("noHeaders")}</p>}
        <dl className="grid grid-cols-[max-content_1fr] gap-x-4 gap-y-1 font-mono text-xs">
          {headers.map(({ name, value }) => (
            <div key={name} className="contents">
              <dt className="text-dim">{name}</dt>
              <dd className="wrap-anywhere">{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <p className="text-xs text-dim">{t("why")}</p>
    </div>
  );
}
