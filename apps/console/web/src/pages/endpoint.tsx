import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { DELIVERY_STATES } from "../parts/delivery-states.ts";
import { DeliveryTries } from "../parts/delivery-tries.tsx";
import { EndpointActions } from "../parts/endpoint-actions.tsx";
import { EndpointStatus } from "../parts/endpoint-status.tsx";
import { SelectField } from "../parts/field.tsx";
import { HealthStrip } from "../parts/health-strip.tsx";
import { formatCount, formatMs, timeOf } from "../parts/measures.ts";
import { ErrorNotice, Notice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { Row } from "../parts/row.tsx";
import { stateTexts } from "../parts/status-badge.tsx";
import { Table } from "../parts/table.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";
import { useMayOperate } from "../parts/use-role.ts";

const texts = defineTexts({
  en: {
    title: "Endpoint",
    settings: "Settings",
    status: "Status",
    events: "Events",
    all: "all events of providers",
    filter: "Filter",
    lane: "In order by",
    rate: "Requests per second",
    health: "Last deliveries",
    speed: "Receipt to success, p50 / p99",
    id: "Id",
    lastError: "Last error",
    over: "It is over: a delivery has succeeded since.",
    secrets: "Secrets",
    bothSign: "The new secret and the one before both sign, until {time}.",
    disabled:
      "It is disabled: {reason}. What it would get is skipped; once it is mended, resume it and recover what it has missed.",
    failing: "It fails, and is left alone for a while. One delivery will tell whether it is back.",
    missed: { one: "It has missed {count} delivery.", other: "It has missed {count} deliveries." },
    log: "Deliveries",
    state: "State",
    any: "any",
    event: "Event",
    type: "Type",
    received: "Received",
    tries: "Tries",
    error: "Last error",
    more: "Show more",
    none: "Nothing was sent to it yet. Send a test, or wait for an event that it wants.",
    noneInState: "No delivery is in this state.",
    show: "Show tries",
    hide: "Hide tries",
  },
  it: {
    title: "Endpoint",
    settings: "Impostazioni",
    status: "Stato",
    events: "Eventi",
    all: "tutti gli eventi dei provider",
    filter: "Filtro",
    lane: "In ordine per",
    rate: "Richieste al secondo",
    health: "Ultime consegne",
    speed: "Da ricezione a successo, p50 / p99",
    id: "Id",
    lastError: "Ultimo errore",
    over: "È passato: da allora una consegna è riuscita.",
    secrets: "Segreti",
    bothSign: "Il nuovo segreto e quello precedente firmano entrambi, fino al {time}.",
    disabled:
      "È disattivato: {reason}. Ciò che riceverebbe viene saltato; quando è riparato, riprendilo e recupera ciò che ha perso.",
    failing: "È in errore e viene lasciato in pace per un po'. Una consegna dirà se è tornato.",
    missed: { one: "Ha perso {count} consegna.", other: "Ha perso {count} consegne." },
    log: "Consegne",
    state: "Stato",
    any: "qualsiasi",
    event: "Evento",
    type: "Tipo",
    received: "Ricevuto",
    tries: "Tentativi",
    error: "Ultimo errore",
    more: "Mostra altre",
    none: "Ancora nulla gli è stato inviato. Invia una prova, o attendi un evento che desidera.",
    noneInState: "Nessuna consegna è in questo stato.",
    show: "Mostra i tentativi",
    hide: "Nascondi i tentativi",
  },
});

const route = getRouteApi("/shell/endpoints/$id");

export function EndpointPage() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { id } = route.useParams();
  const mayOperate = useMayOperate();
  const endpoint = useQuery({
    queryKey: ["endpoints", id],
    queryFn: ({ signal }) => api.call("GET /endpoints/{id}", { path: { id }, signal }),
    refetchInterval: 5_000,
  });
  const { data } = endpoint;
  return (
    <Page title={data?.url ?? t("title")} actions={data && mayOperate && <EndpointActions endpoint={data} />}>
      {endpoint.error && <ErrorNotice error={endpoint.error} onRetry={() => void endpoint.refetch()} />}
      {data?.status === "disabled" && (
        <Notice tone="bad">{t("disabled", { reason: data.disabledReason ?? "" })}</Notice>
      )}
      {data?.status === "failing" && <Notice tone="bad">{t("failing")}</Notice>}
      {data !== undefined && data.missed > 0 && <Notice>{t("missed", { count: data.missed })}</Notice>}
      {data && (
        <Panel title={t("settings")}>
          <dl className="grid grid-cols-[max-content_1fr] gap-x-6 gap-y-1.5">
            {(
              [
                ["status", <EndpointStatus key="status" endpoint={data} />],
                ["health", <HealthStrip key="health" states={data.pulse?.states ?? []} most={100} />],
                [
                  "speed",
                  `${formatMs(data.pulse?.p50Ms ?? null, language)} / ${formatMs(data.pulse?.p99Ms ?? null, language)}`,
                ],
                ["events", data.types.includes("*") ? t("all") : data.types.join(", ")],
                [
                  "filter",
                  data.filter &&
                    Object.entries(data.filter)
                      .map(([path, of]) => `${path} = ${of.join(", ")}`)
                      .join("; "),
                ],
                ["lane", data.lane],
                ["rate", data.ratePerSecond && formatCount(data.ratePerSecond, Infinity, language)],
                [
                  "secrets",
                  data.previousSecretUntil && t("bothSign", { time: timeOf(data.previousSecretUntil, language) }),
                ],
                ["lastError", data.lastError && <LastError key="error" endpoint={data} />],
                ["id", <code key="id">{data.id}</code>],
              ] as const
            ).map(
              ([name, value]) =>
                value !== null && (
                  <div key={name} className="contents">
                    <dt className="text-dim">{t(name)}</dt>
                    <dd className="min-w-0 break-words">{value}</dd>
                  </div>
                ),
            )}
          </dl>
        </Panel>
      )}
      <DeliveryLog id={id} url={data?.url} />
    </Page>
  );
}

/** The last error, when it was, and whether the endpoint has recovered. */
function LastError({ endpoint }: { endpoint: RouteAnswer<AdminRoutes["GET /endpoints/{id}"]> }) {
  const t = useTexts(texts);
  const { lastError, lastErrorAt, failingSince, pulse } = endpoint;
  const succeededAt = pulse?.lastSuccessAt ?? null;
  const isOver = failingSince === null && lastErrorAt !== null && succeededAt !== null && succeededAt > lastErrorAt;
  return (
    <span className={isOver ? "text-dim" : undefined}>
      {lastErrorAt !== null && (
        <>
          <TimeAgo time={lastErrorAt} />:{" "}
        </>
      )}
      {lastError}
      {isOver && <span className="block">{t("over")}</span>}
    </span>
  );
}

function DeliveryLog({ id, url }: { id: string; url: string | undefined }) {
  const t = useTexts(texts);
  const { state, delivery: shown } = route.useSearch();
  const navigate = route.useNavigate();
  const queries = useQueryClient();
  const states = useTexts(stateTexts);
  const log = useInfiniteQuery({
    queryKey: ["endpoints", id, "deliveries", state],
    queryFn: ({ pageParam, signal }) =>
      api.call("GET /endpoints/{id}/deliveries", {
        path: { id },
        query: { state, cursor: pageParam, limit: 50 },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: 5_000,
  });
  const items = log.data?.pages.flatMap((page) => page.items) ?? [];
  const choose = (delivery: number | undefined): void => {
    void navigate({ search: (before) => ({ ...before, delivery }) });
    void queries.invalidateQueries({ queryKey: ["endpoints", id, "tries"] });
  };
  return (
    <Panel
      title={t("log")}
      actions={
        <SelectField
          label={t("state")}
          value={state ?? "any"}
          onValue={(value) => void navigate({ search: { state: value === "any" ? undefined : value } })}
          options={[
            { value: "any", label: t("any") },
            ...DELIVERY_STATES.map((value) => ({ value, label: states(value) })),
          ]}
        />
      }
    >
      {log.error && <ErrorNotice error={log.error} onRetry={() => void log.refetch()} />}
      {log.isSuccess && items.length === 0 && (
        <p className="text-dim">{state === undefined ? t("none") : t("noneInState")}</p>
      )}
      {items.length > 0 && (
        <Table head={[t("received"), t("event"), t("type"), t("state"), t("tries"), t("error")]}>
          {items.map((delivery) => (
            <Row
              key={delivery.seq}
              cells={[
                <TimeAgo key="at" time={delivery.receivedAt} />,
                <Link
                  key="event"
                  to="/events/$source/$id"
                  params={{ source: delivery.source, id: delivery.eventId ?? `seq:${delivery.seq}` }}
                  className="font-mono text-xs text-accent underline"
                >
                  {delivery.eventId ?? `seq:${delivery.seq}`}
                </Link>,
                delivery.type,
                <span key="state">
                  {states(delivery.state)}
                  {delivery.skipReason !== null && (
                    <span className="block text-xs text-dim">{delivery.skipReason}</span>
                  )}
                </span>,
                <span key="tries" className="flex flex-col gap-2">
                  <button
                    type="button"
                    className="text-left text-accent underline"
                    aria-expanded={shown === delivery.seq}
                    onClick={() => choose(shown === delivery.seq ? undefined : delivery.seq)}
                  >
                    {delivery.attempts} · {t(shown === delivery.seq ? "hide" : "show")}
                  </button>
                  {shown === delivery.seq && <DeliveryTries endpoint={id} seq={delivery.seq} url={url} />}
                </span>,
                <span key="error" className="block max-w-80 truncate" title={delivery.error ?? undefined}>
                  {delivery.error}
                </span>,
              ]}
            />
          ))}
        </Table>
      )}
      {log.hasNextPage && (
        <Button className="mt-3" onClick={() => void log.fetchNextPage()} disabled={log.isFetchingNextPage}>
          {t("more")}
        </Button>
      )}
    </Panel>
  );
}
