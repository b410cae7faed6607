import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { SubmitEvent } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { TextField } from "../parts/field.tsx";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Audit log",
    at: "When",
    actor: "Who",
    action: "What",
    target: "Of what",
    detail: "Detail",
    actionHint: "handlers.pause, or handlers for all of them",
    filter: "Show these",
    none: "Nobody has changed anything yet.",
    noMatch: "No entry matches.",
    more: "Show more",
  },
  it: {
    title: "Registro delle modifiche",
    at: "Quando",
    actor: "Chi",
    action: "Che cosa",
    target: "Di che cosa",
    detail: "Dettagli",
    actionHint: "handlers.pause, o handlers per tutte",
    filter: "Mostra queste",
    none: "Nessuno ha ancora cambiato nulla.",
    noMatch: "Nessuna voce corrisponde.",
    more: "Mostra altre",
  },
});

/** What operators did, the newest first. */
export function AuditPage() {
  const t = useTexts(texts);
  const search = useSearch({ from: "/shell/settings/audit" });
  const navigate = useNavigate({ from: "/settings/audit" });
  const log = useInfiniteQuery({
    queryKey: ["audit", search],
    queryFn: ({ pageParam, signal }) => api.call("GET /audit", { query: { ...search, cursor: pageParam }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
  const items = log.data?.pages.flatMap((page) => page.items) ?? [];
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = (["actor", "action", "target"] as const).map((name) => [name, formText(form, name).trim()] as const);
    void navigate({ search: Object.fromEntries(given.filter(([, text]) => text !== "")) });
  };
  return (
    <Page title={t("title")}>
      <form onSubmit={submit} className="grid items-start gap-3 md:grid-cols-[1fr_1fr_1fr_auto]">
        <TextField label={t("actor")} name="actor" defaultValue={search.actor} />
        <TextField label={t("action")} name="action" defaultValue={search.action} hint={t("actionHint")} />
        <TextField label={t("target")} name="target" defaultValue={search.target} />
        <Button type="submit" className="md:mt-6">
          {t("filter")}
        </Button>
      </form>
      {log.error && <ErrorNotice error={log.error} onRetry={() => void log.refetch()} />}
      <Panel>
        {log.isSuccess && items.length === 0 && (
          <p className="text-dim">{t(Object.keys(search).length > 0 ? "noMatch" : "none")}</p>
        )}
        {items.length > 0 && (
          <Table head={[t("at"), t("actor"), t("action"), t("target"), t("detail")]}>
            {items.map((entry) => (
              <tr key={entry.id} className="border-t border-line align-top">
                <td>
                  <TimeAgo time={entry.at} />
                </td>
                <td>{entry.actor}</td>
                <td className="font-mono text-xs">{entry.action}</td>
                <td className="break-all">{entry.target}</td>
                <td className="break-all text-dim">{describeDetail(entry.detail)}</td>
              </tr>
            ))}
          </Table>
        )}
        {log.hasNextPage && (
          <Button className="mt-3" onClick={() => void log.fetchNextPage()} disabled={log.isFetchingNextPage}>
            {t("more")}
          </Button>
        )}
      </Panel>
    </Page>
  );
}

function describeDetail(detail: Readonly<Record<string, unknown>>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
