import type { RouteResult, retentionRoutes } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { ArchiveFacts } from "./archive-facts.tsx";
import { Button } from "./button.tsx";
import { formatBytes } from "./measures.ts";
import { ErrorNotice, Notice } from "./notice.tsx";
import { Panel } from "./panel.tsx";
import { RunRetentionDialog } from "./run-retention-dialog.tsx";
import { Row } from "./row.tsx";
import { Table } from "./table.tsx";

export type RetentionPlan = RouteResult<(typeof retentionRoutes)["GET /retention"]>;
type Day = RetentionPlan["days"][number];

const texts = defineTexts({
  en: {
    title: "Retention",
    run: "Delete what is due…",
    terms: "Events are kept for",
    days: { one: "{count} day", other: "{count} days" },
    ofSource: "of {source}: {days}",
    ofType: "{type} of {source}: {days}",
    limit: "Limit",
    noLimit: "none",
    limitOf: "{limit}, now {bytes}",
    growth: "Growth",
    perDay: "{bytes} a day; levels off at about {level}",
    full: { one: "the limit is reached in {count} day", other: "the limit is reached in {count} days" },
    due: "Due now",
    nothing: "nothing",
    dueDays: { one: "{count} day, about {bytes}", other: "{count} days, about {bytes}" },
    next: "Next",
    nextDay: "{day} goes on {on}",
    isNew: "These terms have changed within the hour. Workers wait an hour before they delete by them.",
    day: "Day",
    size: "Size",
    what: "What becomes of it",
    events: "Events that go",
    stays: "What stays, and why",
    drop: "goes",
    thin: "goes in part",
    keep: "stays",
    restore: "is put back",
    forBytes: "{what}, for the limit",
    term: "{count} of {of}: longer term",
    waiting: "{count} wait for {of}",
    blocking: "{count} block a lane of {of}",
    unprocessed: "{count} batches wait for a worker",
    replay: "replay {of} runs over it",
    running: "{count} deliveries of {of} run",
    "in-use": "process {of} reads it",
    restored: "brought back from its archive, kept until {of}",
    unarchived: "must be archived first: {of}",
  },
  it: {
    title: "Conservazione",
    run: "Elimina ciò che è scaduto…",
    terms: "Gli eventi si conservano per",
    days: { one: "{count} giorno", other: "{count} giorni" },
    ofSource: "di {source}: {days}",
    ofType: "{type} di {source}: {days}",
    limit: "Limite",
    noLimit: "nessuno",
    limitOf: "{limit}, ora {bytes}",
    growth: "Crescita",
    perDay: "{bytes} al giorno; si stabilizza a circa {level}",
    full: { one: "il limite è raggiunto tra {count} giorno", other: "il limite è raggiunto tra {count} giorni" },
    due: "Scaduto ora",
    nothing: "nulla",
    dueDays: { one: "{count} giorno, circa {bytes}", other: "{count} giorni, circa {bytes}" },
    next: "Prossimo",
    nextDay: "{day} sarà eliminato il {on}",
    isNew: "Questi termini sono cambiati nell'ultima ora. I worker aspettano un'ora prima di eliminare.",
    day: "Giorno",
    size: "Dimensione",
    what: "Che cosa ne sarà",
    events: "Eventi eliminati",
    stays: "Che cosa resta, e perché",
    drop: "eliminato",
    thin: "eliminato in parte",
    keep: "resta",
    restore: "ripristinato",
    forBytes: "{what}, per il limite",
    term: "{count} di {of}: termine più lungo",
    waiting: "{count} in attesa di {of}",
    blocking: "{count} bloccano una corsia di {of}",
    unprocessed: "{count} lotti attendono un worker",
    replay: "il replay {of} lo percorre",
    running: "{count} consegne di {of} in corso",
    "in-use": "il processo {of} lo legge",
    restored: "ripreso dall'archivio, resta fino al {of}",
    unarchived: "va prima archiviato: {of}",
  },
});

/** How long events are kept, what would be deleted now, and a way for admins to have it deleted. */
export function RetentionPanel() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const [isAsking, ask] = useState(false);
  const { data: me } = useQuery(meQuery);
  const plan = useQuery({
    queryKey: ["retention"],
    queryFn: ({ signal }) => api.call("GET /retention", { query: {}, signal }),
    refetchInterval: 60_000,
  });
  const { data } = plan;
  const due = data?.days.filter(({ action }) => action !== "keep") ?? [];
  const noted =
    data?.days.filter(({ action, kept, holds }) => action !== "keep" || kept.length + holds.length > 0) ?? [];
  const next = data?.days.find(({ action, kept, holds }) => action === "keep" && kept.length + holds.length === 0);
  const bytes = (value: number): string => formatBytes(value, language);
  const stays = ({ kept, holds }: Day): string =>
    [
      ...holds.map(({ reason, of, count }) => t(reason, { of, count })),
      ...kept.map(({ reason, of, events }) => t(reason, { of, count: events })),
    ].join("; ");
  const canRun = me?.role === "admin" && due.length > 0;
  return (
    <Panel
      title={t("title")}
      actions={
        canRun && (
          <Button look="danger" onClick={() => ask(true)}>
            {t("run")}
          </Button>
        )
      }
    >
      {plan.error && <ErrorNotice error={plan.error} onRetry={() => void plan.refetch()} />}
      {data && (
        <div className="flex flex-col gap-4">
          {data.isNew && <Notice>{t("isNew")}</Notice>}
          <dl className="grid grid-cols-[max-content_1fr] gap-x-6 gap-y-1.5">
            <dt className="text-dim">{t("terms")}</dt>
            <dd>{termsOf(data, t).join(", ")}</dd>
            <dt className="text-dim">{t("limit")}</dt>
            <dd>
              {data.policy.bytes === null
                ? t("noLimit")
                : t("limitOf", { limit: bytes(data.policy.bytes), bytes: bytes(data.bytes) })}
            </dd>
            <dt className="text-dim">{t("growth")}</dt>
            <dd>
              {t("perDay", { bytes: bytes(data.forecast.perDayBytes), level: bytes(data.forecast.levelsOffAtBytes) })}
              {data.forecast.daysUntilFull !== null && `; ${t("full", { count: data.forecast.daysUntilFull })}`}
            </dd>
            <ArchiveFacts />
            <dt className="text-dim">{t("due")}</dt>
            <dd>{due.length === 0 ? t("nothing") : t("dueDays", { count: due.length, bytes: bytes(data.frees) })}</dd>
            {next && (
              <>
                <dt className="text-dim">{t("next")}</dt>
                <dd>{t("nextDay", { day: next.day, on: next.dueOn })}</dd>
              </>
            )}
          </dl>
          {noted.length > 0 && (
            <Table head={[t("day"), t("size"), t("what"), t("events"), t("stays")]}>
              {noted.map((day) => (
                <Row
                  key={day.day}
                  cells={[
                    day.day,
                    bytes(day.bytes),
                    day.why === "bytes" ? t("forBytes", { what: t(day.action) }) : t(day.action),
                    day.goes === 0 ? "" : day.goes.toLocaleString(language),
                    stays(day),
                  ]}
                />
              ))}
            </Table>
          )}
        </div>
      )}
      {isAsking && data && <RunRetentionDialog days={due} frees={data.frees} onClose={() => ask(false)} />}
    </Panel>
  );
}

function termsOf({ policy }: RetentionPlan, t: ReturnType<typeof useTexts<keyof typeof texts.en>>): string[] {
  const days = (count: number): string => t("days", { count });
  return [
    days(policy.days),
    ...Object.entries(policy.sources).flatMap(([source, own]) => [
      ...(own.days === null ? [] : [t("ofSource", { source, days: days(own.days) })]),
      ...Object.entries(own.types).map(([type, term]) => t("ofType", { type, source, days: days(term) })),
    ]),
  ];
}
