import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "../app/api.ts";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { CopyText } from "../parts/copy-text.tsx";
import { formatMs } from "../parts/measures.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { RefusedRequests } from "../parts/refused-requests.tsx";
import { SourceSecrets } from "../parts/source-secrets.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

export type Source = RouteAnswer<AdminRoutes["GET /sources"]>["items"][number];

const texts = defineTexts({
  en: {
    title: "Sources",
    none: "No source is listed yet. Add one to penstock.sources.ts, or make your own: penstock new source",
    url: "URL to enter at the provider",
    urlHint: "As this machine reaches ingest. For a provider, put your domain or tunnel in front.",
    lastEvent: "Last event",
    never: "none yet",
    refused: { one: "{count} request refused in all", other: "{count} requests refused in all" },
    lastRefused: "last one",
    compose: "Send a test request",
    silence: "Silence",
    sends: "It sends as usual.",
    silent: "Silent: it has sent nothing for longer than usual.",
    bySetting: "Silent: it has sent nothing for longer than its silentAfter of {time}.",
    usual: {
      one: "In the same hours of other weeks it sent at least {count} request.",
      other: "In the same hours of other weeks it sent at least {count} requests.",
    },
    learning: "Learning what is usual until {until}. Set silentAfter in penstock.sources.ts to be told before.",
    new: "It has never sent.",
    unheard: "No ingest listens to it: start one, and look at its log.",
    unwatched: "Not watched: its silentAfter is false.",
    ask: "See at the provider whether its webhook is still on and has this URL.",
  },
  it: {
    title: "Sorgenti",
    none: "Nessuna sorgente è elencata. Aggiungine una a penstock.sources.ts, o creane una tua: penstock new source",
    url: "URL da inserire presso il provider",
    urlHint: "Come questa macchina raggiunge ingest. Per un provider, usa il tuo dominio o un tunnel.",
    lastEvent: "Ultimo evento",
    never: "ancora nessuno",
    refused: { one: "{count} richiesta rifiutata in tutto", other: "{count} richieste rifiutate in tutto" },
    lastRefused: "l'ultima",
    compose: "Invia una richiesta di prova",
    silence: "Silenzio",
    sends: "Invia come al solito.",
    silent: "Muta: non invia nulla da più tempo del solito.",
    bySetting: "Muta: non invia nulla da più tempo del suo silentAfter, che è {time}.",
    usual: {
      one: "Nelle stesse ore delle altre settimane ha inviato almeno {count} richiesta.",
      other: "Nelle stesse ore delle altre settimane ha inviato almeno {count} richieste.",
    },
    learning: "Impara che cosa è solito fino al {until}. Imposta silentAfter in penstock.sources.ts per saperlo prima.",
    new: "Non ha mai inviato nulla.",
    unheard: "Nessun ingest la ascolta: avviane uno, e guarda il suo log.",
    unwatched: "Non sorvegliata: il suo silentAfter è false.",
    ask: "Guarda presso il provider se il suo webhook è ancora attivo e ha questo URL.",
  },
});

/** Who may send: where to, with which secrets, what came last, and what was refused and why. */
export function SourcesPage() {
  const t = useTexts(texts);
  const { data: me } = useQuery(meQuery);
  const sources = useQuery({
    queryKey: ["sources"],
    queryFn: ({ signal }) => api.call("GET /sources", { signal }),
    refetchInterval: 5_000,
  });
  return (
    <Page title={t("title")}>
      {sources.error && <ErrorNotice error={sources.error} onRetry={() => void sources.refetch()} />}
      {sources.data?.items.length === 0 && <p className="text-dim">{t("none")}</p>}
      {sources.data?.items.map((source) => (
        <Panel
          key={source.name}
          title={source.name}
          actions={
            me?.role !== "viewer" && (
              <Link to="/composer" search={{ source: source.name }} className="underline">
                {t("compose")}
              </Link>
            )
          }
        >
          <div className="flex flex-col gap-5">
            <SourceFacts source={source} />
            <SourceSecrets source={source} mayChange={me?.role === "admin"} />
            <RefusedRequests source={source.name} />
          </div>
        </Panel>
      ))}
    </Page>
  );
}

function SourceFacts({ source }: { source: Source }) {
  const t = useTexts(texts);
  return (
    <dl className="grid gap-x-6 gap-y-2 md:grid-cols-[max-content_1fr]">
      <dt className="text-dim">{t("url")}</dt>
      <dd>
        <CopyText text={source.url} />
        <p className="text-xs text-dim">{t("urlHint")}</p>
      </dd>
      <dt className="text-dim">{t("lastEvent")}</dt>
      <dd>
        {source.lastEventAt === null ? t("never") : <TimeAgo time={source.lastEventAt} />}
        {source.refused > 0 && (
          <span className="text-dim">
            {" · "}
            {t("refused", { count: source.refused })}
            {source.lastRefusedAt !== null && (
              <>
                {", "}
                {t("lastRefused")} <TimeAgo time={source.lastRefusedAt} />
              </>
            )}
          </span>
        )}
      </dd>
      <dt className="text-dim">{t("silence")}</dt>
      <dd>
        <SilenceNote silence={source.silence} />
      </dd>
    </dl>
  );
}

function SilenceNote({ silence }: { silence: Source["silence"] }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { state, usual, learnsUntil, silentAfterMs, advice } = silence;
  if (state === "silent") {
    return (
      <>
        <p className="font-medium text-bad">
          {silentAfterMs === null ? t("silent") : t("bySetting", { time: formatMs(silentAfterMs, language) })}{" "}
          {usual !== null && usual > 0 && t("usual", { count: usual })}
        </p>
        <p>{advice ?? t("ask")}</p>
      </>
    );
  }
  const until =
    learnsUntil === null ? "" : new Date(learnsUntil).toLocaleDateString(localeOf(language), { dateStyle: "long" });
  return <p className={state === "unheard" ? "text-warn" : "text-dim"}>{t(state, { until })}</p>;
}
