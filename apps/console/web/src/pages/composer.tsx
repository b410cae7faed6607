import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { SelectField } from "../parts/field.tsx";
import { ErrorNotice, Notice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { RefusedRequests } from "../parts/refused-requests.tsx";
import { StatusBadge } from "../parts/status-badge.tsx";
import { useMayOperate } from "../parts/use-role.ts";

const JsonEditor = lazy(() => import("../parts/json-editor.tsx"));

const texts = defineTexts({
  en: {
    title: "Composer",
    needsRole: "Sending a request takes the role operator or admin. An admin can give it to you in Settings.",
    source: "Source",
    type: "Type",
    anew: "A new sample",
    body: "Body",
    loading: "The editor is loading…",
    way: "How it is sent",
    signed: "signed, as the provider would",
    unsigned: "unsigned",
    tampered: "tampered with: changed after it was signed",
    old: "old: signed a day ago",
    send: "Send it",
    none: "No source is listed: add one to penstock.sources.ts.",
    outcome: "What became of it",
    answered: "Ingest answered {status} after {ms} ms",
    accepted: "It was accepted.",
    noId: "It has no id to find it by: see Events.",
    waiting: "It is waiting for a worker…",
    quarantined: "It is in quarantine: {reason}",
    noHandler: "It was processed. No handler subscribes to its type.",
    refused: "It was refused, as it should be.",
    refusedThough: "It was refused. The first of the refused requests below says why.",
  },
  it: {
    title: "Compositore",
    needsRole:
      "Per inviare una richiesta serve il ruolo operator o admin. Un amministratore può assegnartelo nelle Impostazioni.",
    source: "Sorgente",
    type: "Tipo",
    anew: "Un nuovo esempio",
    body: "Corpo",
    loading: "L'editor si sta caricando…",
    way: "Come viene inviata",
    signed: "firmata, come farebbe il provider",
    unsigned: "senza firma",
    tampered: "manomessa: cambiata dopo la firma",
    old: "vecchia: firmata un giorno fa",
    send: "Inviala",
    none: "Nessuna sorgente è elencata: aggiungine una a penstock.sources.ts.",
    outcome: "Che cosa ne è stato",
    answered: "Ingest ha risposto {status} dopo {ms} ms",
    accepted: "È stata accettata.",
    noId: "Non ha un id con cui trovarla: vedi Eventi.",
    waiting: "Aspetta un worker…",
    quarantined: "È in quarantena: {reason}",
    noHandler: "È stata elaborata. Nessun handler è iscritto al suo tipo.",
    refused: "È stata rifiutata, come deve essere.",
    refusedThough: "È stata rifiutata. La prima delle richieste rifiutate qui sotto dice perché.",
  },
});

type Sent = RouteAnswer<AdminRoutes["POST /composer"]>;
type Way = "signed" | "unsigned" | "tampered" | "old";

/** A request as a provider would send it, or as one that is to be refused; and what became of it. */
export function ComposerPage() {
  const t = useTexts(texts);
  const mayOperate = useMayOperate();
  return <Page title={t("title")}>{mayOperate ? <Composer /> : <Notice>{t("needsRole")}</Notice>}</Page>;
}

function Composer() {
  const t = useTexts(texts);
  const search = useSearch({ from: "/shell/composer" });
  const navigate = useNavigate({ from: "/composer" });
  const [body, setBody] = useState("");
  const sources = useQuery({ queryKey: ["sources"], queryFn: ({ signal }) => api.call("GET /sources", { signal }) });
  const source = sources.data?.items.find(({ name }) => name === search.source) ?? sources.data?.items[0];
  const sample = useQuery({
    queryKey: ["composer-sample", source?.name, search.type],
    queryFn: ({ signal }) =>
      api.call("GET /composer/sample", { query: { source: source?.name ?? "", type: search.type }, signal }),
    enabled: source !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  useEffect(() => {
    if (sample.data) setBody(sample.data.body);
  }, [sample.data]);
  const ways: Way[] = ["signed", "unsigned", "tampered", ...(source?.signsTime ? (["old"] as const) : [])];
  const usable = ways.filter((one) => source?.canSign || one === "unsigned");
  const way = usable.find((one) => one === search.way) ?? usable[0] ?? "unsigned";
  const send = useMutation({
    mutationFn: (name: string) => api.call("POST /composer", { body: { source: name, body, way } }),
  });
  const choose = (changed: { source?: string; type?: string; way?: string }): void => {
    send.reset();
    // Types are of a source: another one has others.
    const { type, ...rest } = search;
    const kept = changed.source === undefined && type !== undefined ? { type } : {};
    void navigate({ search: { ...rest, ...kept, ...changed }, replace: true });
  };
  return (
    <>
      {sources.error && <ErrorNotice error={sources.error} onRetry={() => void sources.refetch()} />}
      {sources.isSuccess && source === undefined && <p className="text-dim">{t("none")}</p>}
      {source && (
        <Panel>
          <div className="flex flex-col gap-3">
            <div className="grid gap-3 md:grid-cols-3">
              <SelectField
                label={t("source")}
                value={source.name}
                options={(sources.data?.items ?? []).map(({ name }) => ({ value: name, label: name }))}
                onValue={(name) => choose({ source: name })}
              />
              {sample.data && sample.data.types.length > 0 && (
                <SelectField
                  label={t("type")}
                  value={sample.data.type ?? ""}
                  options={sample.data.types.map((type) => ({ value: type, label: type }))}
                  onValue={(type) => choose({ type })}
                />
              )}
              <SelectField
                label={t("way")}
                value={way}
                options={usable.map((value) => ({ value, label: t(value) }))}
                onValue={(next) => choose({ way: next })}
              />
            </div>
            {sample.error && <ErrorNotice error={sample.error} onRetry={() => void sample.refetch()} />}
            <Suspense fallback={<p className="text-dim">{t("loading")}</p>}>
              <JsonEditor label={t("body")} value={body} onValue={setBody} />
            </Suspense>
            <div className="flex gap-2">
              <Button look="primary" disabled={send.isPending} onClick={() => send.mutate(source.name)}>
                {t("send")}
              </Button>
              <Button disabled={sample.isFetching} onClick={() => void sample.refetch()}>
                {t("anew")}
              </Button>
            </div>
          </div>
        </Panel>
      )}
      {send.error && <ErrorNotice error={send.error} />}
      {source && send.data && <Outcome source={source.name} sent={send.data} way={way} />}
    </>
  );
}

function Outcome({ source, sent, way }: { source: string; sent: Sent; way: Way }) {
  const t = useTexts(texts);
  const isAccepted = sent.status < 300;
  const { eventId } = sent;
  const outcome = useQuery({
    queryKey: ["composer-outcome", source, eventId],
    queryFn: ({ signal }) => api.call("GET /composer/outcome", { query: { source, eventId: eventId ?? "" }, signal }),
    enabled: isAccepted && eventId !== null,
    refetchInterval: 1_000,
  });
  const event = outcome.data?.event ?? null;
  return (
    <Panel title={t("outcome")}>
      <div className="flex flex-col gap-3">
        <p>
          {t("answered", { status: sent.status, ms: Math.round(sent.tookMs) })}{" "}
          <code className="font-mono text-xs">{sent.answer}</code>
        </p>
        {isAccepted ? (
          <Notice tone="good">{t("accepted")}</Notice>
        ) : (
          <Notice tone={way === "signed" ? "bad" : "plain"}>{t(way === "signed" ? "refusedThough" : "refused")}</Notice>
        )}
        {isAccepted && eventId === null && <p>{t("noId")}</p>}
        {isAccepted && eventId !== null && (event === null || event.status === "pending") && <p>{t("waiting")}</p>}
        {event?.quarantine && <p>{t("quarantined", { reason: event.quarantine.reason })}</p>}
        {event?.status === "processed" && event.deliveries.length === 0 && <p>{t("noHandler")}</p>}
        <ul>
          {event?.deliveries.map(({ subscriber, state, attempts }) => (
            <li key={subscriber}>
              <span className="font-medium">{subscriber}</span> <StatusBadge state={state} />{" "}
              <span className="text-dim">({attempts})</span>
            </li>
          ))}
        </ul>
        {!isAccepted && <RefusedRequests source={source} after={sent.refusedBefore} />}
      </div>
    </Panel>
  );
}
