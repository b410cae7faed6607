import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { formatCount, formatMs } from "../parts/measures.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { Row } from "../parts/row.tsx";
import { Table } from "../parts/table.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";
import { useMayOperate } from "../parts/use-role.ts";

const texts = defineTexts({
  en: {
    title: "Handlers",
    handlers: "Handlers",
    name: "Name",
    status: "Status",
    running: "running",
    paused: "paused",
    rate: "Per second",
    speed: "p50 / p99",
    waiting: "Waiting",
    retrying: "Retrying",
    dead: "Dead",
    seen: "Worker seen",
    pause: "Pause",
    resume: "Resume",
    lately: "Rates and times are of the events of the last 15 minutes: from receipt to success.",
    noHandlers: "No worker has registered a handler yet. Plug one in: penstock new handler <name>",
    errors: "Errors, today and yesterday",
    handler: "Handler",
    error: "Error",
    count: "Times",
    last: "Last",
    noErrors: "Nothing has failed.",
    lanes: "Lanes",
    lane: "Lane",
    state: "State",
    head: "Runs or comes first",
    behind: "Behind it",
    since: "Since",
    unblock: "Skip the dead letter",
    noLanes: "Nothing waits or runs in a lane.",
    blocked: "blocked only",
    allLanes: "all",
    runningLane: "running",
    blockedLane: "blocked",
    waitingLane: "waiting",
  },
  it: {
    title: "Handler",
    handlers: "Handler",
    name: "Nome",
    status: "Stato",
    running: "in funzione",
    paused: "in pausa",
    rate: "Al secondo",
    speed: "p50 / p99",
    waiting: "In attesa",
    retrying: "In ripetizione",
    dead: "Morti",
    seen: "Worker visto",
    pause: "Metti in pausa",
    resume: "Riprendi",
    lately: "Frequenze e tempi sono degli eventi degli ultimi 15 minuti: dalla ricezione al successo.",
    noHandlers: "Nessun worker ha ancora registrato un handler. Collegane uno: penstock new handler <nome>",
    errors: "Errori, oggi e ieri",
    handler: "Handler",
    error: "Errore",
    count: "Volte",
    last: "Ultimo",
    noErrors: "Nulla è fallito.",
    lanes: "Corsie",
    lane: "Corsia",
    state: "Stato",
    head: "In corso o per primo",
    behind: "Dietro",
    since: "Da",
    unblock: "Salta la lettera morta",
    noLanes: "Nulla attende o è in corso in una corsia.",
    blocked: "solo bloccate",
    allLanes: "tutte",
    runningLane: "in corso",
    blockedLane: "bloccata",
    waitingLane: "in attesa",
  },
});

const route = getRouteApi("/shell/handlers");
const COUNTED = 10_000;

export function HandlersPage() {
  const t = useTexts(texts);
  return (
    <Page title={t("title")}>
      <HandlerTable />
      <Lanes />
      <Errors />
    </Page>
  );
}

function HandlerTable() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const mayOperate = useMayOperate();
  const queries = useQueryClient();
  const handlers = useQuery({
    queryKey: ["handlers"],
    queryFn: ({ signal }) => api.call("GET /handlers", { signal }),
    refetchInterval: 10_000,
  });
  const toggle = useMutation({
    mutationFn: async ({ name, paused }: { name: string; paused: boolean }): Promise<void> => {
      await (paused
        ? api.call("POST /handlers/{name}/pause", { path: { name } })
        : api.call("POST /handlers/{name}/resume", { path: { name } }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["handlers"] }),
  });
  const items = handlers.data?.items ?? [];
  const error = handlers.error ?? toggle.error;
  return (
    <Panel title={t("handlers")}>
      {error && <ErrorNotice error={error} onRetry={() => void handlers.refetch()} />}
      {handlers.isSuccess && items.length === 0 && <p className="text-dim">{t("noHandlers")}</p>}
      {items.length > 0 && (
        <>
          <Table
            head={[
              t("name"),
              t("status"),
              t("rate"),
              t("speed"),
              t("waiting"),
              t("retrying"),
              t("dead"),
              t("seen"),
              ...(mayOperate ? [t("pause")] : []),
            ]}
          >
            {items.map(({ name, kind, types, pausedAt, seenAt, pace, deliveries }) => (
              <Row
                key={name}
                cells={[
                  <span key="name" title={types.join(", ")}>
                    <b>{name}</b> <span className="text-xs text-dim">{kind}</span>
                  </span>,
                  <span key="status" className={pausedAt === null ? "text-good" : "text-warn"}>
                    ● {t(pausedAt === null ? "running" : "paused")} {pausedAt !== null && <TimeAgo time={pausedAt} />}
                  </span>,
                  (pace?.perSecond ?? 0).toLocaleString(language, { maximumSignificantDigits: 3 }),
                  `${formatMs(pace?.p50Ms ?? null, language)} / ${formatMs(pace?.p99Ms ?? null, language)}`,
                  formatCount(deliveries.pending, COUNTED, language),
                  formatCount(deliveries.retrying, COUNTED, language),
                  <span key="dead" className={deliveries.dead > 0 ? "font-semibold text-bad" : ""}>
                    {formatCount(deliveries.dead, COUNTED, language)}
                  </span>,
                  <TimeAgo key="seen" time={seenAt} />,
                  ...(mayOperate
                    ? [
                        <Button
                          key="toggle"
                          disabled={toggle.isPending}
                          aria-label={`${t(pausedAt === null ? "pause" : "resume")} ${name}`}
                          onClick={() => toggle.mutate({ name, paused: pausedAt === null })}
                        >
                          {t(pausedAt === null ? "pause" : "resume")}
                        </Button>,
                      ]
                    : []),
                ]}
              />
            ))}
          </Table>
          <p className="mt-3 text-xs text-dim">{t("lately")}</p>
        </>
      )}
    </Panel>
  );
}

function Lanes() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { lanes: only } = route.useSearch();
  const navigate = route.useNavigate();
  const mayOperate = useMayOperate();
  const queries = useQueryClient();
  const lanes = useQuery({
    queryKey: ["lanes", only],
    queryFn: ({ signal }) => api.call("GET /lanes", { query: { state: only }, signal }),
    refetchInterval: 5_000,
  });
  const unblock = useMutation({
    mutationFn: (body: { handler: string; lane: string }) => api.call("POST /lanes/unblock", { body }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["lanes"] }),
  });
  const items = lanes.data?.items ?? [];
  const error = lanes.error ?? unblock.error;
  return (
    <Panel
      title={t("lanes")}
      actions={
        <Button onClick={() => void navigate({ search: { lanes: only === undefined ? "blocked" : undefined } })}>
          {t(only === undefined ? "blocked" : "allLanes")}
        </Button>
      }
    >
      {error && <ErrorNotice error={error} onRetry={() => void lanes.refetch()} />}
      {lanes.isSuccess && items.length === 0 && <p className="text-dim">{t("noLanes")}</p>}
      {items.length > 0 && (
        <Table head={[t("handler"), t("lane"), t("state"), t("since"), t("head"), t("behind"), t("error")]}>
          {items.map((lane) => (
            <Row
              key={`${lane.handler} ${lane.lane}`}
              cells={[
                lane.handler,
                <code key="lane">{lane.lane}</code>,
                <span key="state" className={lane.state === "blocked" ? "text-bad" : ""}>
                  {t(`${lane.state}Lane`)}
                </span>,
                <TimeAgo key="since" time={lane.since} />,
                <span key="head" className="flex flex-col items-start gap-1">
                  <span className="font-mono text-xs">{lane.head.eventId ?? `seq:${lane.head.seq}`}</span>
                  {mayOperate && lane.head.state === "dead" && (
                    <Button
                      disabled={unblock.isPending}
                      onClick={() => unblock.mutate({ handler: lane.handler, lane: lane.lane })}
                    >
                      {t("unblock")}
                    </Button>
                  )}
                </span>,
                formatCount(lane.waiting, 1_000, language),
                <span key="error" className="block max-w-80 truncate" title={lane.error ?? undefined}>
                  {lane.error}
                </span>,
              ]}
            />
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Errors() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const errors = useQuery({
    queryKey: ["handlers", "errors"],
    queryFn: ({ signal }) => api.call("GET /handlers/errors", { query: {}, signal }),
    refetchInterval: 10_000,
  });
  const items = errors.data?.items ?? [];
  return (
    <Panel title={t("errors")}>
      {errors.error && <ErrorNotice error={errors.error} onRetry={() => void errors.refetch()} />}
      {errors.isSuccess && items.length === 0 && <p className="text-dim">{t("noErrors")}</p>}
      {items.length > 0 && (
        <Table head={[t("handler"), t("error"), t("count"), t("last")]}>
          {items.map((group) => (
            <Row
              key={`${group.subscriber} ${group.errorClass}`}
              cells={[
                // An endpoint's id begins so, and no handler's name does.
                group.subscriber.startsWith("ep_") ? (
                  <Link
                    key="endpoint"
                    to="/endpoints/$id"
                    params={{ id: group.subscriber }}
                    className="text-accent underline"
                  >
                    {group.subscriber}
                  </Link>
                ) : (
                  group.subscriber
                ),
                <span key="error" className="block max-w-xl">
                  <b>{group.errorClass}</b> <span className="break-words">{group.message}</span>
                </span>,
                group.count.toLocaleString(language),
                <TimeAgo key="last" time={group.lastAt} />,
              ]}
            />
          ))}
        </Table>
      )}
    </Panel>
  );
}
