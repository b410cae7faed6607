import type { erasureRoutes, RouteResult } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { meQuery } from "../app/query-client.ts";
import { Button } from "./button.tsx";
import { EraseDialog } from "./erase-dialog.tsx";
import { ErrorNotice } from "./notice.tsx";
import { Panel } from "./panel.tsx";
import { Row } from "./row.tsx";
import { Table } from "./table.tsx";
import { TimeAgo } from "./time-ago.tsx";

type Erasure = RouteResult<(typeof erasureRoutes)["GET /erasures"]>["items"][number];

const texts = defineTexts({
  en: {
    title: "Erasures",
    erase: "Erase a person…",
    none: "Nobody has been erased yet.",
    number: "Number",
    asked: "Asked for",
    by: "Found by",
    state: "State",
    erased: "Events erased",
    handlers: "Handlers",
    events: "is looking for events",
    texts: "is looking through texts",
    handlersStep: "handlers erase",
    told: "endpoints are told",
    done: "done",
    waitsFor: "{step}; waits for {what}",
    waiting: "{name}: not yet",
    handlerDone: "{name}: has erased",
    lacks: "{name}: has no erase, look into its tables yourself",
    absent: "{name}: no worker has it, look into its tables yourself",
    failed: "{name}: failed ({error}); mend it, then erase again",
  },
  it: {
    title: "Cancellazioni",
    erase: "Cancella una persona…",
    none: "Nessuno è stato ancora cancellato.",
    number: "Numero",
    asked: "Richiesta",
    by: "Trovata per",
    state: "Stato",
    erased: "Eventi cancellati",
    handlers: "Handler",
    events: "cerca gli eventi",
    texts: "cerca nei testi",
    handlersStep: "gli handler cancellano",
    told: "gli endpoint vengono avvisati",
    done: "conclusa",
    waitsFor: "{step}; attende {what}",
    waiting: "{name}: non ancora",
    handlerDone: "{name}: ha cancellato",
    lacks: "{name}: non ha un erase, controlla tu le sue tabelle",
    absent: "{name}: nessun worker lo ha, controlla tu le sue tabelle",
    failed: "{name}: non riuscito ({error}); correggilo, poi cancella di nuovo",
  },
});

/** Erasures and how far they are, without what was erased; for admins a way to ask for one. */
export function ErasuresPanel() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const [isAsking, ask] = useState(false);
  const { data: me } = useQuery(meQuery);
  const erasures = useQuery({
    queryKey: ["erasures"],
    queryFn: ({ signal }) => api.call("GET /erasures", { signal }),
    refetchInterval: ({ state }) => (state.data?.items.some(({ endedAt }) => endedAt === null) ? 2_000 : 60_000),
  });
  const items = erasures.data?.items ?? [];
  const stateOf = ({ step, waitsFor }: Erasure): string => {
    const said = t(step === "handlers" ? "handlersStep" : step);
    return waitsFor === null ? said : t("waitsFor", { step: said, what: waitsFor });
  };
  const handlersOf = ({ handlers }: Erasure): string =>
    Object.entries(handlers)
      .map(([name, { state, error }]) => t(state === "done" ? "handlerDone" : state, { name, error: error ?? "" }))
      .join("; ");
  return (
    <Panel
      title={t("title")}
      actions={
        me?.role === "admin" && (
          <Button look="danger" onClick={() => ask(true)}>
            {t("erase")}
          </Button>
        )
      }
    >
      {erasures.error && <ErrorNotice error={erasures.error} onRetry={() => void erasures.refetch()} />}
      {erasures.isSuccess && items.length === 0 && <p className="text-dim">{t("none")}</p>}
      {items.length > 0 && (
        <Table head={[t("number"), t("asked"), t("by"), t("state"), t("erased"), t("handlers")]}>
          {items.map((erasure) => (
            <Row
              key={erasure.id}
              cells={[
                erasure.id,
                <span key="asked">
                  <TimeAgo time={erasure.requestedAt} /> {erasure.requestedBy}
                </span>,
                erasure.kinds.join(", "),
                stateOf(erasure),
                (erasure.counts["events"] ?? 0).toLocaleString(language),
                handlersOf(erasure),
              ]}
            />
          ))}
        </Table>
      )}
      {isAsking && <EraseDialog onClose={() => ask(false)} />}
    </Panel>
  );
}
