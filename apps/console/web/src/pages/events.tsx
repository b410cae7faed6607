import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { useLiveEvents } from "../app/live-events.ts";
import { Button } from "../parts/button.tsx";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Events",
    age: "Received",
    id: "Id",
    type: "Type",
    status: "Status",
    handlers: "Handlers",
    more: "Show more",
    none: "No event has come yet. Send one: penstock send message.received",
  },
  it: {
    title: "Eventi",
    age: "Ricevuto",
    id: "Id",
    type: "Tipo",
    status: "Stato",
    handlers: "Handler",
    more: "Mostra altri",
    none: "Non è ancora arrivato nessun evento. Inviane uno: penstock send message.received",
  },
});

export function EventsPage() {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const events = useInfiniteQuery({
    queryKey: ["events"],
    queryFn: ({ pageParam, signal }) => api.call("GET /events", { query: { cursor: pageParam, limit: 50 }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
  useLiveEvents(() => void queries.invalidateQueries({ queryKey: ["events"] }));
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page title={t("title")}>
      {events.error && <ErrorNotice error={events.error} onRetry={() => void events.refetch()} />}
      <Panel>
        {events.isSuccess && items.length === 0 && <p className="text-dim">{t("none")}</p>}
        {items.length > 0 && (
          <div className="overflow-x-auto">
            <table className="w-full text-left">
              <thead className="text-dim">
                <tr>
                  {(["age", "id", "type", "status", "handlers"] as const).map((name) => (
                    <th key={name} scope="col" className="py-1 pr-4 font-medium">
                      {t(name)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {items.map((event) => (
                  <tr key={event.seq} className="border-t border-line">
                    <td className="py-1.5 pr-4">
                      <TimeAgo time={event.receivedAt} />
                    </td>
                    <td className="py-1.5 pr-4 font-mono text-xs">{event.id ?? event.seq}</td>
                    <td className="py-1.5 pr-4">{event.type}</td>
                    <td className="py-1.5 pr-4">{event.status}</td>
                    <td className="py-1.5 pr-4">
                      {event.deliveries.map(({ subscriber, state }) => `${subscriber} ${state}`).join(", ")}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {events.hasNextPage && (
          <Button className="mt-3" onClick={() => void events.fetchNextPage()} disabled={events.isFetchingNextPage}>
            {t("more")}
          </Button>
        )}
      </Panel>
    </Page>
  );
}
