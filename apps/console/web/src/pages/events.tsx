import { parseQuery, printQuery, setTime } from "@penstock/schemas/search";
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api } from "../app/api.ts";
import { useKeys } from "../app/keys.tsx";
import { defineTexts, useTexts } from "../app/language.tsx";
import { useLiveEvents } from "../app/live-events.ts";
import { meQuery } from "../app/query-client.ts";
import { Button } from "../parts/button.tsx";
import { type Column, COLUMNS, EventTable, nameOf, useColumnNames } from "../parts/event-table.tsx";
import { Histogram } from "../parts/histogram.tsx";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { QueryField } from "../parts/query-field.tsx";
import { ReplayDialog } from "../parts/replay-dialog.tsx";
import { SavedSearches } from "../parts/saved-searches.tsx";

const texts = defineTexts({
  en: {
    title: "Events",
    more: "Show more",
    searching: "Searching…",
    none: "No event has come yet. Send one by the Composer, or in a terminal: penstock send message.received",
    noMatch: "No event matches.",
    further: "Look further back",
    bodies: "Bodies of the last day were searched. To go further back, add a time, e.g. age<7d.",
    live: "Live",
    paused: "Paused while you point at the list",
    stop: "Stop following",
    follow: "Follow live",
    columns: "Columns",
    anyTime: "Any time",
    keySearch: "Search",
    keyNext: "Next event",
    keyPrevious: "Previous event",
    keyOpen: "Open the event",
    keyReplay: "Replay the event",
  },
  it: {
    title: "Eventi",
    more: "Mostra altri",
    searching: "Ricerca in corso…",
    none: "Non è ancora arrivato nessun evento. Inviane uno dal Compositore, o da un terminale: penstock send message.received",
    noMatch: "Nessun evento corrisponde.",
    further: "Cerca più indietro",
    bodies: "Sono stati cercati i contenuti dell'ultimo giorno. Per andare più indietro aggiungi un tempo, es. age<7d.",
    live: "In diretta",
    paused: "In pausa mentre punti l'elenco",
    stop: "Smetti di seguire",
    follow: "Segui in diretta",
    columns: "Colonne",
    anyTime: "Qualsiasi momento",
    keySearch: "Cerca",
    keyNext: "Evento successivo",
    keyPrevious: "Evento precedente",
    keyOpen: "Apri l'evento",
    keyReplay: "Riesegui l'evento",
  },
});

const USUAL: readonly Column[] = ["received", "id", "type", "status", "handlers"];
const route = getRouteApi("/shell/events");

export function EventsPage() {
  const t = useTexts(texts);
  const { q = "", columns: shown } = route.useSearch();
  const navigate = route.useNavigate();
  const queries = useQueryClient();
  const field = useRef<HTMLInputElement>(null);
  const [follows, setFollows] = useState(true);
  const [pointsAt, setPointsAt] = useState(false);
  const [chosen, choose] = useState<number | null>(null);
  const [replays, setReplays] = useState<{ source: string; id: string } | null>(null);
  const me = useQuery(meQuery);
  const isLive = follows && !pointsAt && replays === null;
  const known = useQuery({
    queryKey: ["event-values"],
    queryFn: ({ signal }) => api.call("GET /events/values", { signal }),
    staleTime: 60_000,
  });
  const events = useInfiniteQuery({
    queryKey: ["events", q],
    queryFn: ({ pageParam, signal }) => api.call("GET /events", { query: { q, cursor: pageParam, limit: 50 }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    // What waits for a worker is not told live.
    refetchInterval: ({ state }) => (isLive && (state.data?.pages.length ?? 0) <= 1 ? 10_000 : false),
  });
  const histogram = useQuery({
    queryKey: ["events-histogram", q],
    queryFn: ({ signal }) => api.call("GET /events/histogram", { query: { q }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? 10_000 : false,
  });
  // Of one page only: to read all pages again would be more than what is new.
  const isTop = (events.data?.pages.length ?? 0) <= 1;
  useLiveEvents(() => void queries.invalidateQueries({ queryKey: ["events", q] }), isLive && isTop);
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  const bodiesSince = events.data?.pages[0]?.bodiesSince ?? null;
  const columns = shown === undefined ? USUAL : COLUMNS.filter((column) => shown.split(",").includes(column));
  const ask = (next: string): void => {
    choose(null);
    void navigate({
      search: ({ columns: kept }) => ({
        ...(kept !== undefined && { columns: kept }),
        ...(next !== "" && { q: next }),
      }),
    });
  };
  const parsed = parseQuery(q);
  const terms = parsed.ok ? parsed.terms : [];
  const hasTime = terms.some(({ kind }) => kind === "time" || kind === "age");
  const current = items.find(({ seq }) => seq === chosen);
  const move = (by: number): void => {
    const at = items.findIndex(({ seq }) => seq === chosen);
    choose(items[Math.min(items.length - 1, Math.max(0, at === -1 ? 0 : at + by))]?.seq ?? null);
  };
  const mayReplay = me.data?.role === "operator" || me.data?.role === "admin";
  useKeys([
    { keys: "/", does: t("keySearch"), run: () => field.current?.focus() },
    { keys: "j", does: t("keyNext"), run: () => move(1) },
    { keys: "k", does: t("keyPrevious"), run: () => move(-1) },
    {
      keys: "o",
      does: t("keyOpen"),
      run: () => current && void navigate({ to: "/events/$source/$id", params: nameOf(current) }),
    },
    { keys: "r", does: t("keyReplay"), run: () => current && mayReplay && setReplays(nameOf(current)) },
  ]);
  return (
    <Page
      title={t("title")}
      actions={
        <div className="flex items-center gap-3">
          <span role="status" className={isLive ? "text-good" : "text-dim"}>
            {follows ? (isLive ? `● ${t("live")}` : t("paused")) : ""}
          </span>
          <Button onClick={() => setFollows(!follows)}>{t(follows ? "stop" : "follow")}</Button>
        </div>
      }
    >
      <div className="flex items-start gap-3">
        <QueryField field={field} query={q} known={known.data ?? {}} onQuery={ask} />
        <ColumnChoice
          columns={columns}
          onColumns={(next) => void navigate({ search: (before) => ({ ...before, columns: next.join(",") }) })}
        />
      </div>
      <SavedSearches query={q} />
      {histogram.data && (
        <Panel>
          <Histogram
            histogram={histogram.data}
            onTime={(after, before) => ask(printQuery(setTime(terms, { after, before })))}
          />
          {hasTime && (
            <button
              type="button"
              className="text-xs text-accent underline"
              onClick={() => ask(printQuery(setTime(terms, {})))}
            >
              {t("anyTime")}
            </button>
          )}
        </Panel>
      )}
      {events.error && <ErrorNotice error={events.error} onRetry={() => void events.refetch()} />}
      <div onPointerEnter={() => setPointsAt(true)} onPointerLeave={() => setPointsAt(false)}>
        <Panel>
          {events.isPending && <p className="text-dim">{t("searching")}</p>}
          {events.isSuccess && items.length === 0 && !events.hasNextPage && (
            <p className="text-dim">{t(q === "" ? "none" : "noMatch")}</p>
          )}
          {items.length > 0 && <EventTable events={items} columns={columns} chosen={chosen} onChoose={choose} />}
          {bodiesSince !== null && !events.hasNextPage && <p className="mt-2 text-dim">{t("bodies")}</p>}
          {events.hasNextPage && (
            <Button className="mt-3" onClick={() => void events.fetchNextPage()} disabled={events.isFetchingNextPage}>
              {events.isFetchingNextPage
                ? t("searching")
                : t((events.data?.pages.at(-1)?.items.length ?? 0) < 50 ? "further" : "more")}
            </Button>
          )}
        </Panel>
      </div>
      {replays && <ReplayDialog event={replays} onClose={() => setReplays(null)} />}
    </Page>
  );
}

function ColumnChoice({ columns, onColumns }: { columns: readonly Column[]; onColumns: (columns: Column[]) => void }) {
  const t = useTexts(texts);
  const nameOfColumn = useColumnNames();
  return (
    <details className="relative">
      <summary className="cursor-pointer rounded-md border border-line bg-panel px-3 py-2">{t("columns")}</summary>
      <div className="absolute right-0 z-10 mt-1 flex w-44 flex-col gap-1 rounded-md border border-line bg-panel p-3 shadow-lg">
        {COLUMNS.map((column) => (
          <label key={column} className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={columns.includes(column)}
              onChange={(event) =>
                onColumns(COLUMNS.filter((each) => (each === column ? event.target.checked : columns.includes(each))))
              }
            />
            {nameOfColumn(column)}
          </label>
        ))}
      </div>
    </details>
  );
}
