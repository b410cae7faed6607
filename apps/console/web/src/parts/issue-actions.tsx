import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { IssueKind } from "@penstock/schemas";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { EndpointActions } from "./endpoint-actions.tsx";
import { ErrorNotice } from "./notice.tsx";
import { Panel } from "./panel.tsx";

const texts = defineTexts({
  en: {
    endpoint: "The endpoint",
    lanes: "Blocked lanes",
    sources: "Its secrets and what was refused",
    quarantine: "All of its events in quarantine",
    allLanes: "All blocked lanes",
    waiting: { one: "{count} waits behind {event}", other: "{count} wait behind {event}" },
    unblock: "Skip the dead letter",
    noLanes: "No lane of it is blocked any more.",
  },
  it: {
    endpoint: "L'endpoint",
    lanes: "Corsie bloccate",
    sources: "I suoi segreti e ciò che è stato rifiutato",
    quarantine: "Tutti i suoi eventi in quarantena",
    allLanes: "Tutte le corsie bloccate",
    waiting: { one: "{count} aspetta dietro {event}", other: "{count} aspettano dietro {event}" },
    unblock: "Salta la consegna fallita",
    noLanes: "Nessuna sua corsia è più bloccata.",
  },
});

/** What can be done about an issue beside its retry: where it is, and the repair itself. */
export function IssueActions({ kind, subject, mayChange }: { kind: IssueKind; subject: string; mayChange: boolean }) {
  const t = useTexts(texts);
  switch (kind) {
    case "failing-endpoint":
      return <EndpointRepair id={subject} mayChange={mayChange} />;
    case "blocked-lane":
      return <LaneRepair handler={subject} mayChange={mayChange} />;
    case "refused":
    case "silent-source":
      return (
        <Link to="/sources" className="text-accent underline">
          {t("sources")}
        </Link>
      );
    case "quarantine":
      return (
        <Link to="/events" search={{ q: `status:quarantined source:${subject}` }} className="text-accent underline">
          {t("quarantine")}
        </Link>
      );
    case "dead-letter":
      return null;
  }
}

function EndpointRepair({ id, mayChange }: { id: string; mayChange: boolean }) {
  const t = useTexts(texts);
  const endpoint = useQuery({
    queryKey: ["endpoints", id],
    queryFn: ({ signal }) => api.call("GET /endpoints/{id}", { path: { id }, signal }),
    refetchInterval: 5_000,
  });
  return (
    <Panel title={t("endpoint")}>
      {endpoint.error && <ErrorNotice error={endpoint.error} onRetry={() => void endpoint.refetch()} />}
      {endpoint.data && (
        <div className="flex flex-col gap-3">
          <Link to="/endpoints/$id" params={{ id }} className="break-all text-accent underline">
            {endpoint.data.url}
          </Link>
          {mayChange && <EndpointActions endpoint={endpoint.data} />}
        </div>
      )}
    </Panel>
  );
}

const SHOWN = 20;

function LaneRepair({ handler, mayChange }: { handler: string; mayChange: boolean }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const lanes = useQuery({
    queryKey: ["lanes", "blocked", handler],
    queryFn: ({ signal }) => api.call("GET /lanes", { query: { handler, state: "blocked", limit: SHOWN }, signal }),
    refetchInterval: 5_000,
  });
  const unblock = useMutation({
    mutationFn: (lane: string) => api.call("POST /lanes/unblock", { body: { handler, lane } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["lanes"] }),
  });
  const error = lanes.error ?? unblock.error;
  return (
    <Panel title={t("lanes")}>
      {error && <ErrorNotice error={error} />}
      {lanes.data?.items.length === 0 && <p className="text-dim">{t("noLanes")}</p>}
      <ul className="flex flex-col gap-2">
        {lanes.data?.items.map(({ lane, head, waiting }) => (
          <li key={lane} className="flex flex-wrap items-center gap-3">
            <span className="font-mono text-xs">{lane}</span>
            <span>{t("waiting", { count: waiting, event: head.eventId ?? `seq:${head.seq}` })}</span>
            {mayChange && head.state === "dead" && (
              <Button onClick={() => unblock.mutate(lane)} disabled={unblock.isPending}>
                {t("unblock")}
              </Button>
            )}
          </li>
        ))}
      </ul>
      <Link to="/handlers" search={{ lanes: "blocked" }} className="mt-3 inline-block text-accent underline">
        {t("allLanes")}
      </Link>
    </Panel>
  );
}
