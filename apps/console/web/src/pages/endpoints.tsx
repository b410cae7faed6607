import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { EndpointForm } from "../parts/endpoint-form.tsx";
import { EndpointSecret } from "../parts/endpoint-secret.tsx";
import { EndpointStatus } from "../parts/endpoint-status.tsx";
import { HealthStrip } from "../parts/health-strip.tsx";
import { formatCount, formatMs } from "../parts/measures.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { Row } from "../parts/row.tsx";
import { Table } from "../parts/table.tsx";
import { useMayOperate } from "../parts/use-role.ts";

const texts = defineTexts({
  en: {
    title: "Endpoints",
    add: "Add endpoint",
    added: "The endpoint is added",
    save: "Save",
    url: "URL",
    status: "Status",
    events: "Events",
    health: "Last deliveries",
    speed: "p50 / p99",
    waiting: "Waiting",
    missed: "Missed",
    allEvents: "all",
    more: "Show more",
    none: "Nothing is sent on yet. Add an endpoint, and what is processed from then on goes to its URL as a signed webhook.",
  },
  it: {
    title: "Endpoint",
    add: "Aggiungi endpoint",
    added: "L'endpoint è stato aggiunto",
    save: "Salva",
    url: "URL",
    status: "Stato",
    events: "Eventi",
    health: "Ultime consegne",
    speed: "p50 / p99",
    waiting: "In attesa",
    missed: "Persi",
    allEvents: "tutti",
    more: "Mostra altri",
    none: "Ancora nulla viene inoltrato. Aggiungi un endpoint: ciò che viene elaborato da quel momento va al suo URL come webhook firmato.",
  },
});

const route = getRouteApi("/shell/endpoints");

export function EndpointsPage() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { add: adding = false } = route.useSearch();
  const navigate = route.useNavigate();
  const mayOperate = useMayOperate();
  const endpoints = useInfiniteQuery({
    queryKey: ["endpoints"],
    queryFn: ({ pageParam, signal }) => api.call("GET /endpoints", { query: { cursor: pageParam, limit: 50 }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: 5_000,
  });
  const items = endpoints.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title={t("title")}
      actions={
        mayOperate && (
          <Button look="primary" onClick={() => void navigate({ search: { add: true } })}>
            {t("add")}
          </Button>
        )
      }
    >
      {endpoints.error && <ErrorNotice error={endpoints.error} onRetry={() => void endpoints.refetch()} />}
      <Panel>
        {endpoints.isSuccess && items.length === 0 && <p className="text-dim">{t("none")}</p>}
        {items.length > 0 && (
          <Table head={[t("url"), t("status"), t("events"), t("health"), t("speed"), t("waiting"), t("missed")]}>
            {items.map((endpoint) => (
              <Row
                key={endpoint.id}
                cells={[
                  <span key="url" className="flex flex-col">
                    <Link
                      to="/endpoints/$id"
                      params={{ id: endpoint.id }}
                      className="font-medium text-accent underline"
                    >
                      {endpoint.url}
                    </Link>
                    <span className="text-xs text-dim">{endpoint.description ?? endpoint.id}</span>
                  </span>,
                  <EndpointStatus key="status" endpoint={endpoint} />,
                  endpoint.types.includes("*") ? t("allEvents") : endpoint.types.join(", "),
                  <HealthStrip key="health" states={endpoint.pulse?.states ?? []} />,
                  <span key="speed" className="whitespace-nowrap">
                    {formatMs(endpoint.pulse?.p50Ms ?? null, language)} /{" "}
                    {formatMs(endpoint.pulse?.p99Ms ?? null, language)}
                  </span>,
                  formatCount(endpoint.deliveries.pending + endpoint.deliveries.retrying, 1_000, language),
                  formatCount(endpoint.missed, 1_000, language),
                ]}
              />
            ))}
          </Table>
        )}
        {endpoints.hasNextPage && (
          <Button
            className="mt-3"
            onClick={() => void endpoints.fetchNextPage()}
            disabled={endpoints.isFetchingNextPage}
          >
            {t("more")}
          </Button>
        )}
      </Panel>
      {mayOperate && <AddDialog open={adding} onClose={() => void navigate({ search: {} })} />}
    </Page>
  );
}

/** URL, events, save; then the secret, to be copied. */
function AddDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [key, setKey] = useState(() => crypto.randomUUID());
  const add = useMutation({
    mutationFn: (body: Parameters<Parameters<typeof EndpointForm>[0]["onSubmit"]>[0]) =>
      api.call("POST /endpoints", { body, idempotencyKey: key }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["endpoints"] }),
    // What was refused may be sent again, changed.
    onSettled: () => setKey(crypto.randomUUID()),
  });
  const close = (): void => {
    add.reset();
    onClose();
  };
  return (
    <Dialog title={add.data ? t("added") : t("add")} open={open} onClose={close}>
      {add.data ? (
        <EndpointSecret id={add.data.id} secret={add.data.secret} onDone={close} />
      ) : (
        <EndpointForm
          submit={t("save")}
          error={add.error}
          busy={add.isPending}
          onSubmit={add.mutate}
          onCancel={close}
        />
      )}
    </Dialog>
  );
}
