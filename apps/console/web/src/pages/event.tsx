import { printQuery } from "@penstock/schemas/search";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { api } from "../app/api.ts";
import { useKeys } from "../app/keys.tsx";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { settings } from "../app/settings.ts";
import { BodyView } from "../parts/body-view.tsx";
import { Button } from "../parts/button.tsx";
import { CopyText } from "../parts/copy-text.tsx";
import { EventArrival } from "../parts/event-arrival.tsx";
import { EventAttempts } from "../parts/event-attempts.tsx";
import { EventDryRun } from "../parts/event-dry-run.tsx";
import { EventEdit } from "../parts/event-edit.tsx";
import { EventRelated } from "../parts/event-related.tsx";
import { nameOf } from "../parts/event-table.tsx";
import { ErrorNotice, Notice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { ReplayDialog } from "../parts/replay-dialog.tsx";
import { StatusBadge, statusOf } from "../parts/status-badge.tsx";
import { type EventDetail, Timeline } from "../parts/timeline.tsx";

const texts = defineTexts({
  en: {
    replay: "Replay",
    timeline: "Timeline",
    attempts: "Attempts",
    body: "Body",
    headers: "Headers and signature",
    related: "Related",
    "dry-run": "Dry run",
    edit: "Replay edited",
    type: "Type",
    source: "Source",
    status: "Status",
    received: "Received",
    created: "Created by the sender",
    size: "Size",
    bytes: { one: "{count} byte", other: "{count} bytes" },
    trace: "Trace",
    subjects: "About",
    erased: "Erased on {at} by {by}: nothing of what it said is left",
    madeBy: "Made by replay {replay} of seq {of}",
    mendedBy: "Mended by {id}",
    others: {
      one: "Another body came under this id: {count} more event",
      other: "Other bodies came under this id: {count} more events",
    },
  },
  it: {
    replay: "Riesegui",
    timeline: "Cronologia",
    attempts: "Tentativi",
    body: "Contenuto",
    headers: "Header e firma",
    related: "Correlati",
    "dry-run": "Prova",
    edit: "Riesegui modificato",
    type: "Tipo",
    source: "Sorgente",
    status: "Stato",
    received: "Ricevuto",
    created: "Creato dal mittente",
    size: "Dimensione",
    bytes: { one: "{count} byte", other: "{count} byte" },
    trace: "Traccia",
    subjects: "Riguarda",
    erased: "Cancellato il {at} da {by}: del suo contenuto non resta nulla",
    madeBy: "Creato dalla riesecuzione {replay} di seq {of}",
    mendedBy: "Corretto da {id}",
    others: {
      one: "Un altro contenuto è arrivato con questo id: {count} altro evento",
      other: "Altri contenuti sono arrivati con questo id: altri {count} eventi",
    },
  },
});

const TABS = ["attempts", "body", "headers", "related", "dry-run", "edit"] as const;
const route = getRouteApi("/shell/events/$source/$id");

export function EventPage() {
  const t = useTexts(texts);
  const name = route.useParams();
  const { tab: asked, about, handler } = route.useSearch();
  const navigate = route.useNavigate();
  const me = useQuery(meQuery);
  const [replays, setReplays] = useState(false);
  const found = useQuery({
    queryKey: ["event", name],
    queryFn: ({ signal }) => api.call("GET /events/{source}/{id}", { path: name, signal }),
    refetchInterval: ({ state }) => (isUnderWay(state.data?.items[0]) ? 2_000 : false),
  });
  const event = found.data?.items[0];
  const others = (found.data?.items.length ?? 1) - 1;
  const mayReplay = me.data?.role === "operator" || me.data?.role === "admin";
  const tabs = TABS.filter(
    (each) => (each !== "dry-run" || mayReplay) && (each !== "edit" || (mayReplay && me.data?.seesPayloads)),
  );
  const tab = tabs.find((each) => each === asked) ?? "attempts";
  useKeys([{ keys: "r", does: t("replay"), run: () => mayReplay && setReplays(true) }]);
  return (
    <Page
      title={name.id}
      actions={
        mayReplay && (
          <Button look="primary" onClick={() => setReplays(true)}>
            {t("replay")} <kbd className="font-mono text-xs">r</kbd>
          </Button>
        )
      }
    >
      {found.error && <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />}
      {others > 0 && (
        <Notice>
          <Link
            to="/events"
            search={{ q: printQuery([{ kind: "field", key: "id", value: name.id, prefix: false, not: false }]) }}
            className="underline"
          >
            {t("others", { count: others })}
          </Link>
        </Notice>
      )}
      {event && (
        <>
          <Facts event={event} />
          <Panel title={t("timeline")}>
            <Timeline event={event} />
          </Panel>
          <section className="rounded-lg border border-line bg-panel">
            <div role="tablist" className="flex gap-1 overflow-x-auto border-b border-line px-2">
              {tabs.map((each) => (
                <button
                  key={each}
                  type="button"
                  role="tab"
                  id={`tab-${each}`}
                  aria-selected={each === tab}
                  aria-controls="tab-panel"
                  className={`px-3 py-2 ${each === tab ? "border-b-2 border-accent font-semibold" : "text-dim"}`}
                  onClick={() => void navigate({ search: { tab: each }, replace: true })}
                >
                  {t(each)}
                </button>
              ))}
            </div>
            <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} className="p-4">
              {tab === "attempts" && <EventAttempts event={event} />}
              {tab === "body" && <BodyView event={nameOf(event)} maySign={mayReplay} />}
              {tab === "headers" && <EventArrival event={nameOf(event)} />}
              {tab === "dry-run" && (
                <EventDryRun
                  event={event}
                  handler={handler}
                  onHandler={(name) => void navigate({ search: { tab, handler: name }, replace: true })}
                />
              )}
              {tab === "edit" && <EventEdit event={nameOf(event)} />}
              {tab === "related" && (
                <EventRelated
                  event={event}
                  about={about}
                  onAbout={(subject) => void navigate({ search: { tab, about: subject }, replace: true })}
                />
              )}
            </div>
          </section>
        </>
      )}
      {replays && <ReplayDialog event={name} onClose={() => setReplays(false)} />}
    </Page>
  );
}

function isUnderWay(event: EventDetail | undefined): boolean {
  return (
    event?.status === "pending" ||
    (event?.deliveries.some(({ state }) => state === "pending" || state === "running") ?? false)
  );
}

/** A trace: a link where it is known to what, else its id to copy. */
function Trace({ id }: { id: string }) {
  const { traceUrl } = settings;
  if (traceUrl === null) return <CopyText text={id} />;
  return (
    <a
      href={traceUrl.replaceAll("{traceId}", id)}
      target="_blank"
      rel="noreferrer"
      className="font-mono text-xs text-accent underline"
    >
      {id}
    </a>
  );
}

function Facts({ event }: { event: EventDetail }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const time = (at: string): string =>
    new Date(at).toLocaleString(localeOf(language), { dateStyle: "medium", timeStyle: "medium" });
  const { quarantine, madeBy, mendedBy, erased, traceparent } = event;
  const traceId = traceparent?.split("-")[1];
  const facts: readonly (readonly [string, ReactNode])[] = [
    [t("status"), <StatusBadge key="status" state={statusOf(event)} />],
    [t("type"), event.type ?? "–"],
    [t("source"), event.source],
    [t("received"), time(event.receivedAt)],
    ...(event.createdAt === null ? [] : [[t("created"), time(event.createdAt)] as const]),
    [t("size"), t("bytes", { count: event.bytes })],
    ...(traceId === undefined ? [] : [[t("trace"), <Trace key="trace" id={traceId} />] as const]),
  ];
  return (
    <Panel>
      <dl className="grid grid-cols-2 gap-x-6 gap-y-2 md:grid-cols-4">
        {facts.map(([term, value]) => (
          <div key={term} className="min-w-0">
            <dt className="text-xs text-dim">{term}</dt>
            <dd className="truncate">{value}</dd>
          </div>
        ))}
        {event.subjects.length > 0 && (
          <div className="col-span-full">
            <dt className="text-xs text-dim">{t("subjects")}</dt>
            <dd className="flex flex-wrap gap-3">
              {event.subjects.map((subject) => (
                <Link
                  key={subject}
                  to="/events"
                  search={{
                    q: printQuery([{ kind: "field", key: "subject", value: subject, prefix: false, not: false }]),
                  }}
                  className="font-mono text-xs text-accent underline"
                >
                  {subject}
                </Link>
              ))}
            </dd>
          </div>
        )}
      </dl>
      {erased && <p className="mt-3">{t("erased", { at: time(erased.at), by: erased.by })}</p>}
      {quarantine && (
        <p className="mt-3 text-bad">
          {quarantine.reason}
          {quarantine.detail === null ? "" : `: ${quarantine.detail}`}
        </p>
      )}
      {madeBy && (
        <p className="mt-2">
          <Link
            to="/events/$source/$id"
            params={{ source: event.source, id: `seq:${madeBy.of}` }}
            className="underline"
          >
            {t("madeBy", { replay: madeBy.replay, of: madeBy.of })}
          </Link>
        </p>
      )}
      {mendedBy && (
        <p className="mt-2">
          <Link
            to="/events/$source/$id"
            params={{ source: event.source, id: `seq:${mendedBy.seq}` }}
            className="underline"
          >
            {t("mendedBy", { id: mendedBy.id ?? `seq:${mendedBy.seq}` })}
          </Link>
        </p>
      )}
    </Panel>
  );
}
