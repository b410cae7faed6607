import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { wallClockMs } from "../app/wall-clock.ts";
import { Bars, fillHours } from "../parts/bars.tsx";
import { describeLeft, issueTexts, titleOf } from "../parts/issue-texts.ts";
import { LineChart } from "../parts/line-chart.tsx";
import { formatMs } from "../parts/measures.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { stateTexts } from "../parts/status-badge.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Overview",
    attention: "Needs attention",
    allWell: "All is well: nothing needs a person.",
    moreIssues: "All issues",
    acknowledged: { one: "{count} more issue is looked at", other: "{count} more issues are looked at" },
    idle: "No worker has {handlers}: their deliveries wait. Start a worker with them, or run: penstock handlers list",
    oldBacklog: "Events wait for {seconds} s: is a worker running? Its log says what holds it up.",
    accepted: "Accepted",
    acceptedLabel: "Events accepted, by minute",
    perSecond: "{rate} per second",
    lastHour: "last minute; below, the last 55 minutes",
    acknowledgement: "Acknowledgement",
    p99: "99 of 100 within {time}",
    noneAcknowledged: "Nothing was acknowledged in the last minutes.",
    lastMinutes: "last two minutes; below, the last hour",
    chartLabel: "Time until an acknowledgement, by minute: the slowest of 100 took {time} of late",
    p50Line: "half within",
    p99Line: "99 of 100 within",
    unavailable: {
      one: "{count} request of the last hour was answered 503, and its provider sends it again: Postgres was away, or too much waited. Ingest's log says which.",
      other:
        "{count} requests of the last hour were answered 503, and their providers send them again: Postgres was away, or too much waited. Ingest's log says which.",
    },
    unavailableLabel: "Requests answered 503, by minute",
    backlog: "Backlog",
    waiting: { one: "{count} event waits", other: "{count} events wait" },
    oldest: "the oldest for {seconds} s",
    failures: "Dead letters by handler, last 24 hours",
    noFailures: "None.",
    deliveries: "Deliveries that have not succeeded",
    none: "None: everything was delivered.",
    last: "last",
    handler: "Handler",
  },
  it: {
    title: "Panoramica",
    attention: "Richiede attenzione",
    allWell: "Tutto bene: nulla richiede una persona.",
    moreIssues: "Tutti i problemi",
    acknowledged: {
      one: "{count} altro problema è preso in carico",
      other: "{count} altri problemi sono presi in carico",
    },
    idle: "Nessun worker ha {handlers}: le loro consegne aspettano. Avvia un worker che li ha, o esegui: penstock handlers list",
    oldBacklog: "Eventi in attesa da {seconds} s: c'è un worker attivo? Il suo log dice che cosa lo trattiene.",
    accepted: "Accettati",
    acceptedLabel: "Eventi accettati, per minuto",
    perSecond: "{rate} al secondo",
    lastHour: "ultimo minuto; sotto, gli ultimi 55 minuti",
    acknowledgement: "Conferma di ricezione",
    p99: "99 su 100 entro {time}",
    noneAcknowledged: "Negli ultimi minuti non è stato confermato nulla.",
    lastMinutes: "ultimi due minuti; sotto, l'ultima ora",
    chartLabel: "Tempo fino alla conferma, per minuto: ultimamente la più lenta su 100 ha richiesto {time}",
    p50Line: "metà entro",
    p99Line: "99 su 100 entro",
    unavailable: {
      one: "{count} richiesta dell'ultima ora ha avuto risposta 503, e il suo provider la invia di nuovo: Postgres era assente, o troppo era in attesa. Il log di ingest dice quale dei due.",
      other:
        "{count} richieste dell'ultima ora hanno avuto risposta 503, e i loro provider le inviano di nuovo: Postgres era assente, o troppo era in attesa. Il log di ingest dice quale dei due.",
    },
    unavailableLabel: "Richieste con risposta 503, per minuto",
    backlog: "In attesa",
    waiting: { one: "{count} evento in attesa", other: "{count} eventi in attesa" },
    oldest: "il più vecchio da {seconds} s",
    failures: "Consegne fallite per handler, ultime 24 ore",
    noFailures: "Nessuna.",
    deliveries: "Consegne non riuscite",
    none: "Nessuna: tutto è stato consegnato.",
    last: "ultima volta",
    handler: "Handler",
  },
});

/** From then on what waits is nobody's normal pause. */
const OLD_BACKLOG_S = 30;

const STATES = ["pending", "running", "retrying", "dead"] as const;

export function OverviewPage() {
  const t = useTexts(texts);
  const names = useTexts(issueTexts);
  const states = useTexts(stateTexts);
  const { language } = useLanguage();
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => api.call("GET /overview", { signal }),
    refetchInterval: 5_000,
  });
  const { data } = overview;
  if (data === undefined) {
    return (
      <Page title={t("title")}>
        {overview.error && <ErrorNotice error={overview.error} onRetry={() => void overview.refetch()} />}
      </Page>
    );
  }
  const seconds = Math.round(data.oldestPendingSeconds);
  const isOld = seconds >= OLD_BACKLOG_S;
  const isWell = data.attention.length === 0 && data.idleHandlers.length === 0 && !isOld;
  const subscribers = [...new Set(data.deliveries.map(({ subscriber }) => subscriber))].toSorted();
  const countOf = (subscriber: string, state: string): number =>
    data.deliveries.find((one) => one.subscriber === subscriber && one.state === state)?.count ?? 0;
  return (
    <Page title={t("title")}>
      {overview.error && <ErrorNotice error={overview.error} onRetry={() => void overview.refetch()} />}
      <Panel title={t("attention")}>
        {isWell && <p className="font-medium text-good">{t("allWell")}</p>}
        <ul className="flex flex-col gap-3">
          {isOld && <li className="text-bad">{t("oldBacklog", { seconds })}</li>}
          {data.idleHandlers.length > 0 && (
            <li className="text-warn">{t("idle", { handlers: data.idleHandlers.join(", ") })}</li>
          )}
          {data.attention.map((issue) => (
            <li key={issue.id} className="border-l-2 border-bad pl-3">
              <Link to="/issues/$id" params={{ id: String(issue.id) }} className="font-medium underline">
                {`${names(issue.kind)}: ${issue.subject}`}
              </Link>
              <p className="break-words">{titleOf(names, issue)}</p>
              <p className="text-dim">
                {[describeLeft(names, issue.left), t("last")].filter((part) => part !== "").join(", ")}{" "}
                <TimeAgo time={issue.lastSeen} />. {issue.advice ?? names(`${issue.kind}-remedy`)}
              </p>
            </li>
          ))}
        </ul>
        {data.acknowledged > 0 && <p className="mt-3 text-dim">{t("acknowledged", { count: data.acknowledged })}</p>}
        {(data.moreIssues || data.acknowledged > 0) && (
          <Link to="/issues" className="mt-2 inline-block underline">
            {t("moreIssues")}
          </Link>
        )}
      </Panel>
      <div className="grid gap-4 md:grid-cols-2">
        <div className="flex flex-col gap-4">
          <Panel title={t("accepted")}>
            <p className="text-2xl font-semibold tabular-nums">
              {t("perSecond", {
                rate: data.accepted.perSecond.toLocaleString(language, { maximumFractionDigits: 1 }),
              })}
            </p>
            <p className="mb-2 text-xs text-dim">{t("lastHour")}</p>
            <Bars label={t("acceptedLabel")} bars={data.accepted.perBucket} />
          </Panel>
          <Panel title={t("backlog")}>
            <p className={`text-2xl font-semibold tabular-nums ${isOld ? "text-bad" : ""}`}>
              {t("waiting", { count: data.pendingEvents })}
            </p>
            {data.pendingEvents > 0 && <p className="text-dim">{t("oldest", { seconds })}</p>}
          </Panel>
        </div>
        <AcknowledgementPanel times={data.acknowledgements} />
      </div>
      <Panel title={t("failures")}>
        {data.failures.length === 0 && <p className="text-dim">{t("noFailures")}</p>}
        <ul className="flex flex-col gap-3">
          {data.failures.map(({ subject, hours }) => (
            <li key={subject} className="grid items-end gap-3 md:grid-cols-[12rem_1fr]">
              <span className="font-mono text-xs">{subject}</span>
              <Bars label={subject} tone="bad" bars={fillHours(hours, 24, wallClockMs())} />
            </li>
          ))}
        </ul>
      </Panel>
      <Panel title={t("deliveries")}>
        {subscribers.length === 0 && <p className="text-dim">{t("none")}</p>}
        {subscribers.length > 0 && (
          <table className="w-full text-left">
            <thead className="text-dim">
              <tr>
                <th scope="col" className="py-1 pr-4 font-medium">
                  {t("handler")}
                </th>
                {STATES.map((state) => (
                  <th key={state} scope="col" className="py-1 pr-4 font-medium">
                    {states(state)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {subscribers.map((subscriber) => (
                <tr key={subscriber} className="border-t border-line">
                  <th scope="row" className="py-1.5 pr-4 font-mono text-xs font-normal">
                    {subscriber}
                  </th>
                  {STATES.map((state) => (
                    <td key={state} className="py-1.5 pr-4 tabular-nums">
                      {countOf(subscriber, state).toLocaleString(language)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
    </Page>
  );
}

type AnswerTimes = RouteAnswer<AdminRoutes["GET /overview"]>["acknowledgements"];

function AcknowledgementPanel({ times }: { times: AnswerTimes }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const perMinute = fillMinutes(times.perMinute, 60, wallClockMs());
  const failed = perMinute.map(({ at, unavailable }) => ({ at: new Date(at).toISOString(), count: unavailable ?? 0 }));
  const unavailable = failed.reduce((sum, { count }) => sum + count, 0);
  const p99 = formatMs(times.p99Ms, language);
  return (
    <Panel title={t("acknowledgement")}>
      {times.p99Ms === null ? (
        <p className="text-dim">{t("noneAcknowledged")}</p>
      ) : (
        <p className="text-2xl font-semibold tabular-nums">{t("p99", { time: p99 })}</p>
      )}
      <p className="mb-2 text-xs text-dim">{t("lastMinutes")}</p>
      <LineChart
        label={t("chartLabel", { time: p99 })}
        times={perMinute.map(({ at }) => at)}
        lines={[
          { label: t("p50Line"), tone: "dim", values: perMinute.map(({ p50Ms }) => p50Ms ?? null) },
          { label: t("p99Line"), tone: "accent", values: perMinute.map(({ p99Ms }) => p99Ms ?? null) },
        ]}
        format={(ms) => formatMs(ms, language)}
      />
      {unavailable > 0 && (
        <>
          <p className="my-2 text-bad">{t("unavailable", { count: unavailable })}</p>
          <Bars label={t("unavailableLabel")} tone="bad" bars={failed} />
        </>
      )}
    </Panel>
  );
}

/** The minutes until now, those in which nothing was among them. */
function fillMinutes(
  minutes: AnswerTimes["perMinute"],
  length: number,
  nowMs: number,
): (Partial<Omit<AnswerTimes["perMinute"][number], "at">> & { readonly at: number })[] {
  const last = Math.floor(nowMs / 60_000) * 60_000;
  const known = new Map(minutes.map((minute) => [Date.parse(minute.at), minute]));
  return Array.from({ length }, (_, nth) => {
    const at = last - (length - 1 - nth) * 60_000;
    return { ...known.get(at), at };
  });
}
