import { useQuery } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { DoctorPanel } from "../parts/doctor.tsx";
import { ErasuresPanel } from "../parts/erasures.tsx";
import { formatBytes, formatMs } from "../parts/measures.ts";
import { ErrorNotice, Notice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { RetentionPanel } from "../parts/retention.tsx";
import { Row } from "../parts/row.tsx";
import { Table } from "../parts/table.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Database",
    now: "Now",
    server: "Server",
    size: "Size",
    connections: "Connections",
    ofMax: "{used} of {max}",
    waits: "Waits to be processed",
    noneWaits: "nothing",
    waiting: { one: "{count} event, since {age}", other: "{count} events, the oldest for {age}" },
    oldest: "Oldest transaction",
    noTransaction: "none is under way",
    transaction: "{age}, {application}, process {pid}, {state}",
    unnamed: "an unnamed client",
    old: "A transaction has been under way for {age}: vacuum takes nothing away that it may see. If nobody needs it, end it: SELECT pg_terminate_backend({pid})",
    days: "Bytes per day of receipt (UTC)",
    tables: "Tables",
    table: "Table",
    rows: "Rows",
    dead: "Dead rows",
    partitions: "Partitions",
    vacuumed: "Vacuumed",
    never: "never",
    queue: "The queue (bull-board)",
  },
  it: {
    title: "Database",
    now: "Adesso",
    server: "Server",
    size: "Dimensione",
    connections: "Connessioni",
    ofMax: "{used} di {max}",
    waits: "In attesa di elaborazione",
    noneWaits: "nulla",
    waiting: { one: "{count} evento, da {age}", other: "{count} eventi, il più vecchio da {age}" },
    oldest: "Transazione più vecchia",
    noTransaction: "nessuna in corso",
    transaction: "{age}, {application}, processo {pid}, {state}",
    unnamed: "un client senza nome",
    old: "Una transazione è in corso da {age}: vacuum non toglie nulla che essa possa vedere. Se non serve a nessuno, terminala: SELECT pg_terminate_backend({pid})",
    days: "Byte per giorno di ricezione (UTC)",
    tables: "Tabelle",
    table: "Tabella",
    rows: "Righe",
    dead: "Righe morte",
    partitions: "Partizioni",
    vacuumed: "Vacuum",
    never: "mai",
    queue: "La coda (bull-board)",
  },
});

/** A transaction that is older holds up vacuum for no good reason. */
const LONG_S = 300;
const DAYS = 30;

export function DatabasePage() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { data: me } = useQuery(meQuery);
  const database = useQuery({
    queryKey: ["database"],
    queryFn: ({ signal }) => api.call("GET /database", { signal }),
    refetchInterval: 15_000,
  });
  const { data } = database;
  const oldest = data?.oldestTransaction ?? null;
  const age = (seconds: number): string => formatMs(seconds * 1_000, language);
  const days = data?.days.slice(0, DAYS) ?? [];
  const largest = Math.max(1, ...days.map(({ bytes }) => bytes));
  return (
    <Page
      title={t("title")}
      actions={
        me?.role === "admin" && (
          <a href="queue" className="underline">
            {t("queue")}
          </a>
        )
      }
    >
      {database.error && <ErrorNotice error={database.error} onRetry={() => void database.refetch()} />}
      {oldest !== null && oldest.seconds > LONG_S && (
        <Notice tone="bad">{t("old", { age: age(oldest.seconds), pid: String(oldest.pid) })}</Notice>
      )}
      {data && (
        <>
          <Panel title={t("now")}>
            <dl className="grid grid-cols-[max-content_1fr] gap-x-6 gap-y-1.5">
              <dt className="text-dim">{t("server")}</dt>
              <dd>Postgres {data.version}</dd>
              <dt className="text-dim">{t("size")}</dt>
              <dd>{formatBytes(data.bytes, language)}</dd>
              <dt className="text-dim">{t("connections")}</dt>
              <dd>{t("ofMax", data.connections)}</dd>
              <dt className="text-dim">{t("waits")}</dt>
              <dd>
                {data.backlog.pendingEvents === 0
                  ? t("noneWaits")
                  : t("waiting", { count: data.backlog.pendingEvents, age: age(data.backlog.oldestPendingSeconds) })}
              </dd>
              <dt className="text-dim">{t("oldest")}</dt>
              <dd>
                {oldest === null
                  ? t("noTransaction")
                  : t("transaction", {
                      age: age(oldest.seconds),
                      application: oldest.application || t("unnamed"),
                      pid: String(oldest.pid),
                      state: oldest.state,
                    })}
              </dd>
            </dl>
          </Panel>
          <DoctorPanel />
          <RetentionPanel />
          <ErasuresPanel />
          <Panel title={t("days")}>
            <ul className="flex flex-col gap-1">
              {days.map(({ day, bytes }) => (
                <li key={day} className="flex items-center gap-3">
                  <span className="w-24 shrink-0 text-dim">{day}</span>
                  {/* A progress element: its length needs no inline style, which the page's policy refuses. */}
                  <progress
                    className="h-3 min-w-0 flex-1 appearance-none overflow-hidden rounded-sm bg-sunken [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-sunken [&::-webkit-progress-value]:bg-accent"
                    value={bytes}
                    max={largest}
                    aria-label={day}
                  />
                  <span className="w-20 shrink-0 text-right">{formatBytes(bytes, language)}</span>
                </li>
              ))}
            </ul>
          </Panel>
          <Panel title={t("tables")}>
            <Table head={[t("table"), t("size"), t("rows"), t("dead"), t("partitions"), t("vacuumed")]}>
              {data.tables.map((table) => (
                <Row
                  key={`${table.schema}.${table.name}`}
                  cells={[
                    <code key="name">{`${table.schema}.${table.name}`}</code>,
                    formatBytes(table.bytes, language),
                    table.rows.toLocaleString(language),
                    table.deadRows.toLocaleString(language),
                    table.partitions === 0 ? "" : table.partitions.toLocaleString(language),
                    table.vacuumedAt === null ? t("never") : <TimeAgo key="vacuumed" time={table.vacuumedAt} />,
                  ]}
                />
              ))}
            </Table>
          </Panel>
        </>
      )}
    </Page>
  );
}
