import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "../app/api.ts";
import { useKeys } from "../app/keys.tsx";
import { defineTexts, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { wallClockMs } from "../app/wall-clock.ts";
import { Bars, fillHours } from "../parts/bars.tsx";
import { Button } from "../parts/button.tsx";
import { IssueActions } from "../parts/issue-actions.tsx";
import { describeLeft, issueTexts, titleOf } from "../parts/issue-texts.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { Page, Panel } from "../parts/panel.tsx";
import { RetryIssueDialog } from "../parts/retry-issue-dialog.tsx";
import { TimeAgo } from "../parts/time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Issue {id}",
    back: "All issues",
    state: "State",
    by: "by {who}",
    worker: "a worker: nothing is left of it",
    note: "Note",
    of: "Of",
    at: "At",
    first: "First seen",
    last: "Last seen",
    count: "Count",
    reopened: { one: "{count}, came back once", other: "{count}, came back {times} times" },
    leftHead: "Left",
    retrying: { one: "{count} is being tried again", other: "{count} are being tried again" },
    example: "Example",
    overTime: "Last 48 hours",
    occurrences: "Occurrences",
    whatToDo: "What to do",
    acknowledge: "Acknowledge",
    resolve: "Resolve",
    ignore: "Ignore",
    reopen: "Open again",
    retry: "Retry all…",
    retries: "Retries",
    progress: "{done} of {count} done",
    undo: "Put back what was not begun",
    running: "running",
    done: "done",
    cancelled: "ended",
  },
  it: {
    title: "Problema {id}",
    back: "Tutti i problemi",
    state: "Stato",
    by: "da {who}",
    worker: "un worker: non ne rimane nulla",
    note: "Nota",
    of: "Di",
    at: "Dove",
    first: "Prima volta",
    last: "Ultima volta",
    count: "Numero",
    reopened: { one: "{count}, tornato una volta", other: "{count}, tornato {times} volte" },
    leftHead: "Rimasti",
    retrying: { one: "{count} è in corso di nuovo tentativo", other: "{count} sono in corso di nuovo tentativo" },
    example: "Esempio",
    overTime: "Ultime 48 ore",
    occurrences: "Occorrenze",
    whatToDo: "Che cosa fare",
    acknowledge: "Prendi in carico",
    resolve: "Risolvi",
    ignore: "Ignora",
    reopen: "Riapri",
    retry: "Riprova tutto…",
    retries: "Nuovi tentativi",
    progress: "{done} di {count} fatti",
    undo: "Ripristina ciò che non è iniziato",
    running: "in corso",
    done: "finito",
    cancelled: "terminato",
  },
});

const CHANGES = {
  acknowledge: ["open"],
  resolve: ["open", "acknowledged", "ignored"],
  ignore: ["open", "acknowledged", "resolved"],
  reopen: ["acknowledged", "resolved", "ignored"],
} as const;
type Change = keyof typeof CHANGES;

const route = getRouteApi("/shell/issues/$id");

export function IssuePage() {
  const t = useTexts(texts);
  const names = useTexts(issueTexts);
  const { id } = route.useParams();
  const queries = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const [retries, setRetries] = useState(false);
  const key = ["issue", id];
  const issue = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => api.call("GET /issues/{id}", { path: { id: Number(id) }, signal }),
    refetchInterval: 2_000,
  });
  const change = useMutation({
    mutationFn: (what: Change) => api.call(`POST /issues/{id}/${what}`, { path: { id: Number(id) }, body: {} }),
    onSuccess: (changed) => queries.setQueryData(key, changed),
  });
  const undo = useMutation({
    mutationFn: (retry: string) =>
      api.call("POST /issues/{id}/retries/{retry}/cancel", { path: { id: Number(id), retry } }),
    onSettled: () => queries.invalidateQueries({ queryKey: key }),
  });
  const { data } = issue;
  const mayChange = me !== undefined && me !== null && me.role !== "viewer";
  const mayRetry =
    mayChange && data !== undefined && (data.kind === "dead-letter" || data.kind === "quarantine") && data.left !== 0;
  useKeys(mayRetry ? [{ keys: "r", does: t("retry"), run: () => setRetries(true) }] : []);
  const error = issue.error ?? change.error ?? undo.error;
  return (
    <Page
      title={t("title", { id })}
      actions={
        mayChange &&
        data && (
          <div className="flex flex-wrap gap-2">
            {mayRetry && (
              <Button look="primary" onClick={() => setRetries(true)}>
                {t("retry")}
              </Button>
            )}
            {(Object.keys(CHANGES) as Change[])
              .filter((what) => (CHANGES[what] as readonly string[]).includes(data.state))
              .map((what) => (
                <Button key={what} onClick={() => change.mutate(what)} disabled={change.isPending}>
                  {t(what)}
                </Button>
              ))}
          </div>
        )
      }
    >
      <Link to="/issues" className="underline">
        {t("back")}
      </Link>
      {error && <ErrorNotice error={error} onRetry={() => void issue.refetch()} />}
      {data && (
        <>
          <Panel title={`${names(data.kind)}: ${titleOf(names, data)}`}>
            <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1.5">
              <dt className="text-dim">{t("state")}</dt>
              <dd>
                <span className="font-medium">{names(data.state)}</span> <TimeAgo time={data.changedAt} />{" "}
                {data.changedBy !== null && t("by", { who: data.changedBy })}
                {data.changedBy === null && data.state === "resolved" && t("by", { who: t("worker") })}
              </dd>
              {data.note !== null && (
                <>
                  <dt className="text-dim">{t("note")}</dt>
                  <dd>{data.note}</dd>
                </>
              )}
              <dt className="text-dim">{t("of")}</dt>
              <dd className="font-mono text-xs leading-6">{data.subject}</dd>
              {data.place !== null && (
                <>
                  <dt className="text-dim">{t("at")}</dt>
                  <dd className="font-mono text-xs leading-6 break-all">{data.place}</dd>
                </>
              )}
              <dt className="text-dim">{t("first")}</dt>
              <dd>
                <TimeAgo time={data.firstSeen} />
              </dd>
              <dt className="text-dim">{t("last")}</dt>
              <dd>
                <TimeAgo time={data.lastSeen} />
              </dd>
              <dt className="text-dim">{t("count")}</dt>
              <dd>{data.reopened === 0 ? data.count : t("reopened", { count: data.count, times: data.reopened })}</dd>
              {data.left !== null && (
                <>
                  <dt className="text-dim">{t("leftHead")}</dt>
                  <dd>
                    {describeLeft(names, data.left)}
                    {data.retrying > 0 && `, ${t("retrying", { count: data.retrying })}`}
                  </dd>
                </>
              )}
              {data.example !== null && (
                <>
                  <dt className="text-dim">{t("example")}</dt>
                  <dd className="font-mono text-xs leading-6">
                    <ExampleLink {...data.example} />
                  </dd>
                </>
              )}
              <dt className="text-dim">{t("whatToDo")}</dt>
              <dd>{data.advice ?? names(`${data.kind}-remedy`)}</dd>
            </dl>
          </Panel>
          <IssueActions kind={data.kind} subject={data.subject} mayChange={mayChange} />
          <Panel title={t("overTime")}>
            <Bars
              label={t("occurrences")}
              tone="bad"
              bars={fillHours(
                data.hours.map(({ hour, count }) => ({ at: hour, count })),
                48,
                wallClockMs(),
              )}
            />
          </Panel>
          {data.retries.length > 0 && (
            <Panel title={t("retries")}>
              <ul className="flex flex-col gap-2">
                {data.retries.map((retry) => (
                  <li key={retry.id} className="flex flex-wrap items-center gap-3">
                    <TimeAgo time={retry.createdAt} />
                    <span>{t(retry.status)}</span>
                    <progress
                      aria-label={t("progress", { done: retry.done, count: retry.enqueued })}
                      max={Math.max(1, retry.enqueued)}
                      value={retry.done}
                      className="h-3 appearance-none overflow-hidden rounded-sm bg-sunken [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-sunken [&::-webkit-progress-value]:bg-accent"
                    />
                    <span className="tabular-nums">{t("progress", { done: retry.done, count: retry.enqueued })}</span>
                    {mayChange && retry.status === "running" && (
                      <Button look="danger" onClick={() => undo.mutate(retry.id)} disabled={undo.isPending}>
                        {t("undo")}
                      </Button>
                    )}
                  </li>
                ))}
              </ul>
            </Panel>
          )}
          {retries && <RetryIssueDialog id={data.id} onClose={() => setRetries(false)} />}
        </>
      )}
    </Page>
  );
}

/** To its event, while that is kept. */
function ExampleLink({ source, eventId, seq }: { source: string | null; eventId: string | null; seq: number }) {
  const id = eventId ?? `seq:${seq}`;
  if (source === null) return id;
  return (
    <Link to="/events/$source/$id" params={{ source, id }} className="text-accent underline">
      {id}
    </Link>
  );
}
