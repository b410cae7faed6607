import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyText } from "./copy-text.tsx";
import { nameOf } from "./event-table.tsx";
import { SelectField } from "./field.tsx";
import { formatMs } from "./measures.ts";
import { ErrorNotice, Notice } from "./notice.tsx";
import { Row } from "./row.tsx";
import { Table } from "./table.tsx";
import type { EventDetail } from "./timeline.tsx";

const texts = defineTexts({
  en: {
    what: "A worker runs the handler for this event, as the handler's code is there now, in a transaction that is rolled back. What a handler does outside of ctx.tx cannot be rolled back.",
    handler: "Handler",
    none: "There is no transactional handler. Effect handlers are not run: what they do outside cannot be rolled back.",
    run: "Dry run",
    waiting: "Waiting for a worker that has the handler…",
    running: "{worker} runs it…",
    nobody:
      "No worker with this handler has taken it within a minute: does one run? This does the same where the handlers are:",
    lost: "{worker} has not ended it within a minute: it has probably stopped. This does the same where the handlers are:",
    succeeded: "It would succeed, in {took}.",
    failed: "It would fail, after {took}: {error}",
    "not-understood": "The event is not understood: {error}",
    "not-subscribed": "The handler does not subscribe to its type.",
    changes: "Rows that would change",
    table: "Table",
    inserted: "Inserted",
    updated: "Updated",
    deleted: "Deleted",
    noChange: "No rows would change.",
    statements: "Statements, in order",
    statement: "Statement",
    rows: "Rows",
    noStatement: "It ran no statement.",
  },
  it: {
    what: "Un worker esegue l'handler per questo evento, con il codice che ha ora, in una transazione che viene annullata. Ciò che un handler fa fuori da ctx.tx non si può annullare.",
    handler: "Handler",
    none: "Non c'è nessun handler transazionale. Gli handler di effetti non vengono eseguiti: ciò che fanno fuori non si può annullare.",
    run: "Prova",
    waiting: "In attesa di un worker che abbia l'handler…",
    running: "{worker} lo esegue…",
    nobody:
      "Nessun worker con questo handler l'ha preso entro un minuto: ce n'è uno attivo? Questo fa lo stesso dove sono gli handler:",
    lost: "{worker} non l'ha finito entro un minuto: probabilmente si è fermato. Questo fa lo stesso dove sono gli handler:",
    succeeded: "Riuscirebbe, in {took}.",
    failed: "Fallirebbe, dopo {took}: {error}",
    "not-understood": "L'evento non è comprensibile: {error}",
    "not-subscribed": "L'handler non è iscritto al suo tipo.",
    changes: "Righe che cambierebbero",
    table: "Tabella",
    inserted: "Inserite",
    updated: "Modificate",
    deleted: "Eliminate",
    noChange: "Nessuna riga cambierebbe.",
    statements: "Istruzioni, in ordine",
    statement: "Istruzione",
    rows: "Righe",
    noStatement: "Non ha eseguito istruzioni.",
  },
});

type Report = NonNullable<RouteAnswer<AdminRoutes["GET /dry-runs/{id}"]>["report"]>;

/** What a handler would do with an event: a worker tries it, and keeps nothing. */
export function EventDryRun({
  event,
  handler: asked,
  onHandler,
}: {
  event: EventDetail;
  handler: string | undefined;
  onHandler: (handler: string) => void;
}) {
  const t = useTexts(texts);
  const [id, setId] = useState<string | null>(null);
  const handlers = useQuery({ queryKey: ["handlers"], queryFn: ({ signal }) => api.call("GET /handlers", { signal }) });
  const request = useMutation({
    mutationFn: (handler: string) =>
      api.call("POST /events/{source}/{id}/dry-runs", { path: nameOf(event), body: { handler } }),
    onMutate: () => setId(null),
    onSuccess: (made) => setId(made.id),
  });
  const result = useQuery({
    queryKey: ["dry-run", id],
    queryFn: ({ signal }) => api.call("GET /dry-runs/{id}", { path: { id: id ?? "" }, signal }),
    enabled: id !== null,
    refetchInterval: ({ state }) => (isOpen(state.data?.state) ? 500 : false),
  });
  if (handlers.error) return <ErrorNotice error={handlers.error} onRetry={() => void handlers.refetch()} />;
  if (!handlers.data) return null;
  const names = handlers.data.items.filter(({ kind }) => kind === "transactional").map(({ name }) => name);
  const wanted = names.find((name) => name === asked);
  const handler = wanted ?? names.find((name) => event.deliveries.some((one) => one.subscriber === name)) ?? names[0];
  if (handler === undefined) return <p className="text-dim">{t("none")}</p>;
  const isRunning = request.isPending || (id !== null && isOpen(result.data?.state ?? "waiting"));
  return (
    <div className="flex flex-col gap-4">
      <p className="text-dim">{t("what")}</p>
      <div className="flex flex-wrap items-end gap-3">
        <div className="w-64">
          <SelectField
            label={t("handler")}
            value={handler}
            options={names.map((name) => ({ value: name, label: name }))}
            onValue={(name) => {
              setId(null);
              request.reset();
              onHandler(name);
            }}
          />
        </div>
        <Button look="primary" disabled={isRunning} onClick={() => request.mutate(handler)}>
          {t("run")}
        </Button>
      </div>
      {request.error && <ErrorNotice error={request.error} />}
      {result.error && <ErrorNotice error={result.error} onRetry={() => void result.refetch()} />}
      {result.data && <Result {...result.data} />}
    </div>
  );
}

const isOpen = (state: string | undefined): boolean => state === "waiting" || state === "running";

function Result({ state, worker, report, command }: RouteAnswer<AdminRoutes["GET /dry-runs/{id}"]>) {
  const t = useTexts(texts);
  if (report !== null) return <ReportView report={report} />;
  if (state === "done") return null;
  const said = t(state, { worker: worker ?? "" });
  return isOpen(state) ? (
    <Notice>{said}</Notice>
  ) : (
    <Notice tone="bad">
      {said} <CopyText text={command} />
    </Notice>
  );
}

function ReportView({ report: { outcome, error, tookMs, tables, statements } }: { report: Report }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const why = [error?.errorClass, error?.errorMessage].filter((part) => part != null).join(": ");
  return (
    <>
      <Notice tone={outcome === "succeeded" ? "good" : "bad"}>
        {t(outcome, { took: formatMs(tookMs, language), error: why })}
      </Notice>
      {outcome === "succeeded" && (
        <section aria-label={t("changes")}>
          <h3 className="mb-1 font-semibold">{t("changes")}</h3>
          {tables.length === 0 ? (
            <p className="text-dim">{t("noChange")}</p>
          ) : (
            <Table head={[t("table"), t("inserted"), t("updated"), t("deleted")]}>
              {tables.map((row) => (
                <Row key={row.table} cells={[row.table, row.inserted, row.updated, row.deleted]} />
              ))}
            </Table>
          )}
        </section>
      )}
      <section aria-label={t("statements")}>
        <h3 className="mb-1 font-semibold">{t("statements")}</h3>
        {statements.length === 0 ? (
          <p className="text-dim">{t("noStatement")}</p>
        ) : (
          <Table head={["", t("statement"), t("rows")]}>
            {statements.map(({ sql, rows, error: refused }, at) => (
              <Row
                key={at}
                cells={[
                  at + 1,
                  <code key="sql" className="font-mono text-xs wrap-anywhere">
                    {sql.replaceAll(/\s+/g, " ").trim()}
                  </code>,
                  refused === null ? (
                    rows
                  ) : (
                    <span key="error" className="text-bad">
                      {refused}
                    </span>
                  ),
                ]}
              />
            ))}
          </Table>
        )}
      </section>
    </>
  );
}
