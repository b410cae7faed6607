import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "../app/api.ts";
import { useKeys } from "../app/keys.tsx";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "../parts/button.tsx";
import { SelectField } from "../parts/field.tsx";
import { describeLeft, issueTexts, titleOf } from "../parts/issue-texts.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";
import { ISSUE_LIST_STATES } from "./issue-search.ts";

const texts = defineTexts({
  en: {
    title: "Issues",
    state: "State",
    unsettled: "open or acknowledged",
    all: "all",
    what: "What",
    of: "Of",
    last: "Last seen",
    count: "Count",
    more: "Show more",
    next: "next issue",
    previous: "previous issue",
    openIt: "open the issue",
    none: "Nothing needs a person: no handler, source or endpoint has a failure that is not settled.",
    noMatch: "No issue is in this state.",
  },
  it: {
    title: "Problemi",
    state: "Stato",
    unsettled: "aperti o presi in carico",
    all: "tutti",
    what: "Che cosa",
    of: "Di",
    last: "Ultima volta",
    count: "Numero",
    more: "Mostra altri",
    next: "problema successivo",
    previous: "problema precedente",
    openIt: "apri il problema",
    none: "Nulla richiede una persona: nessun handler, sorgente o endpoint ha errori in sospeso.",
    noMatch: "Nessun problema è in questo stato.",
  },
});

const route = getRouteApi("/shell/issues");

export function IssuesPage() {
  const t = useTexts(texts);
  const names = useTexts(issueTexts);
  const { state = "unsettled" } = route.useSearch();
  const navigate = useNavigate();
  const [selected, select] = useState(0);
  const issues = useInfiniteQuery({
    queryKey: ["issues", state],
    queryFn: ({ pageParam, signal }) =>
      api.call("GET /issues", { query: { state, cursor: pageParam, limit: 25 }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: 5_000,
  });
  const items = issues.data?.pages.flatMap((page) => page.items) ?? [];
  const current = items[Math.min(selected, items.length - 1)];
  useKeys([
    { keys: "j", does: t("next"), run: () => select((at) => Math.min(at + 1, items.length - 1)) },
    { keys: "k", does: t("previous"), run: () => select((at) => Math.max(0, at - 1)) },
    {
      keys: "Enter",
      does: t("openIt"),
      run: () => current && void navigate({ to: "/issues/$id", params: { id: String(current.id) } }),
    },
  ]);
  return (
    <Page
      title={t("title")}
      actions={
        <SelectField
          label={t("state")}
          value={state}
          onValue={(value) => void navigate({ to: "/issues", search: value === "unsettled" ? {} : { state: value } })}
          options={ISSUE_LIST_STATES.map((value) => ({
            value,
            label: value === "unsettled" || value === "all" ? t(value) : names(value),
          }))}
        />
      }
    >
      {issues.error && <ErrorNotice error={issues.error} onRetry={() => void issues.refetch()} />}
      <Panel>
        {issues.isSuccess && items.length === 0 && (
          <p className="text-dim">{t(state === "unsettled" ? "none" : "noMatch")}</p>
        )}
        {items.length > 0 && (
          <Table head={[t("what"), t("of"), t("state"), t("last"), t("count")]}>
            {items.map((issue) => (
              <tr
                key={issue.id}
                aria-current={issue === current || undefined}
                className="border-t border-line align-top aria-[current]:bg-sunken"
              >
                <td>
                  <Link to="/issues/$id" params={{ id: String(issue.id) }} className="font-medium underline">
                    {names(issue.kind)}
                  </Link>
                  <div className="break-words">{titleOf(names, issue)}</div>
                  <div className="text-xs text-dim">{describeLeft(names, issue.left)}</div>
                </td>
                <td className="font-mono text-xs">{issue.subject}</td>
                <td>{names(issue.state)}</td>
                <td>
                  <TimeAgo time={issue.lastSeen} />
                </td>
                <td className="tabular-nums">{issue.count}</td>
              </tr>
            ))}
          </Table>
        )}
        {issues.hasNextPage && (
          <Button className="mt-3" onClick={() => void issues.fetchNextPage()} disabled={issues.isFetchingNextPage}>
            {t("more")}
          </Button>
        )}
      </Panel>
    </Page>
  );
}
