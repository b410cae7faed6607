import type { erasureRoutes, RouteResult } from "@penstock/schemas/admin";
import { parseQuery } from "@penstock/schemas/search";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { TextField } from "./field.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";
import { Row } from "./row.tsx";
import { Table } from "./table.tsx";

type Plan = RouteResult<(typeof erasureRoutes)["POST /erasures/plan"]>;
type Wanted = (
  | { readonly kind: "subject" | "value"; readonly value: string }
  | { readonly kind: "where"; readonly path: string[]; readonly value: string }
)[];

const texts = defineTexts({
  en: {
    title: "Erase a person",
    whom: "What has one of these is overwritten. A person is often known by an id, a number and an address: give all of them.",
    subject: "Id",
    subjectHint: "Of a contact, a conversation or the like; also wherever it stands in a body",
    phone: "Phone number, or another text",
    mail: "Mail address, or another text",
    textHint: "Wherever it stands; at least 4 characters",
    where: "Value at a path",
    whereHint: "e.g. data.phone=+393331234567",
    wrongPath: "Give a path of the body and its value, e.g. data.phone=+393331234567.",
    nobody: "Say whom to erase.",
    look: "Show what would be erased",
    looking: "Looking…",
    back: "Back",
    cancel: "Cancel",
    found: { one: "{count} event has it.", other: "{count} events have it." },
    more: { one: "At least {count} event has it.", other: "At least {count} events have it." },
    count: "Events",
    type: "Type",
    source: "Source",
    skipped: {
      one: "{count} delivery that waits or is dead is skipped.",
      other: "{count} deliveries that wait or are dead are skipped.",
    },
    elsewhere: "It also stands in: {tables}",
    handlers: "Asked to erase what they keep: {names}",
    endpoints: "Endpoints that were sent some of it, and know it: {names}",
    forGood: "Workers overwrite it. It cannot be undone.",
    erase: "Erase for good",
    erasing: "Asking…",
  },
  it: {
    title: "Cancella una persona",
    whom: "Si sovrascrive ciò che contiene uno di questi valori. Una persona è spesso nota per un id, un numero e un indirizzo: indicali tutti.",
    subject: "Id",
    subjectHint: "Di un contatto, una conversazione o simili; anche ovunque compaia in un contenuto",
    phone: "Numero di telefono, o un altro testo",
    mail: "Indirizzo e-mail, o un altro testo",
    textHint: "Ovunque compaia; almeno 4 caratteri",
    where: "Valore in un percorso",
    whereHint: "es. data.phone=+393331234567",
    wrongPath: "Indica un percorso del contenuto e il suo valore, es. data.phone=+393331234567.",
    nobody: "Indica chi cancellare.",
    look: "Mostra che cosa si cancellerebbe",
    looking: "Ricerca…",
    back: "Indietro",
    cancel: "Annulla",
    found: { one: "{count} evento lo contiene.", other: "{count} eventi lo contengono." },
    more: { one: "Almeno {count} evento lo contiene.", other: "Almeno {count} eventi lo contengono." },
    count: "Eventi",
    type: "Tipo",
    source: "Sorgente",
    skipped: {
      one: "{count} consegna in attesa o morta viene saltata.",
      other: "{count} consegne in attesa o morte vengono saltate.",
    },
    elsewhere: "Compare anche in: {tables}",
    handlers: "A cui si chiede di cancellare ciò che conservano: {names}",
    endpoints: "Endpoint che ne hanno ricevuto una parte e la conoscono: {names}",
    forGood: "I worker lo sovrascrivono. Non si può annullare.",
    erase: "Cancella per sempre",
    erasing: "Richiesta…",
  },
});

/** Asks whom to erase, shows what that would overwrite, and only then has it done. */
export function EraseDialog({ onClose }: { onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [wrong, setWrong] = useState<string | null>(null);
  const plan = useMutation({
    mutationFn: async (wanted: Wanted) => ({
      wanted,
      plan: await api.call("POST /erasures/plan", { body: { wanted } }),
    }),
  });
  const erase = useMutation({
    mutationFn: (wanted: Wanted) => api.call("POST /erasures", { body: { wanted } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["erasures"] });
      onClose();
    },
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const of = (name: string): string => formText(form, name).trim();
    const where = readWhere(of("where"));
    const wanted: Wanted = [
      ...(of("subject") === "" ? [] : [{ kind: "subject" as const, value: of("subject") }]),
      ...["phone", "mail"].flatMap((name) => (of(name) === "" ? [] : [{ kind: "value" as const, value: of(name) }])),
      ...(where ?? []),
    ];
    const problem = where === null ? t("wrongPath") : wanted.length === 0 ? t("nobody") : null;
    setWrong(problem);
    if (problem === null) plan.mutate(wanted);
  };
  const found = plan.data;
  return (
    <Dialog title={t("title")} open onClose={onClose}>
      {/* It stays while the plan is shown, with what was typed. */}
      <form onSubmit={onSubmit} className="flex flex-col gap-3" hidden={found !== undefined}>
        <p className="text-dim">{t("whom")}</p>
        <TextField label={t("subject")} name="subject" hint={t("subjectHint")} maxLength={1_000} autoComplete="off" />
        {(["phone", "mail"] as const).map((name) => (
          <TextField
            key={name}
            label={t(name)}
            name={name}
            hint={t("textHint")}
            minLength={4}
            maxLength={1_000}
            autoComplete="off"
          />
        ))}
        <TextField label={t("where")} name="where" hint={t("whereHint")} maxLength={2_000} autoComplete="off" />
        {wrong !== null && <Notice tone="bad">{wrong}</Notice>}
        {plan.error && <ErrorNotice error={plan.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" look="primary" disabled={plan.isPending}>
            {plan.isPending ? t("looking") : t("look")}
          </Button>
        </div>
      </form>
      {found && (
        <div className="flex flex-col gap-3">
          <PlanOfErasure plan={found.plan} />
          {erase.error && <ErrorNotice error={erase.error} />}
          <Notice tone="bad">{t("forGood")}</Notice>
          <div className="flex justify-end gap-2">
            <Button onClick={() => plan.reset()}>{t("back")}</Button>
            <Button look="danger" disabled={erase.isPending} onClick={() => erase.mutate(found.wanted)}>
              {erase.isPending ? t("erasing") : t("erase")}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

function PlanOfErasure({ plan }: { plan: Plan }) {
  const t = useTexts(texts);
  const tables = Object.entries(plan.texts).flatMap(([table, rows]) => (rows === 0 ? [] : [table]));
  return (
    <>
      <p>{t(plan.more ? "more" : "found", { count: plan.events })}</p>
      {plan.types.length > 0 && (
        <Table head={[t("count"), t("source"), t("type")]}>
          {plan.types.map(({ source, type, events }) => (
            <Row key={`${source} ${type}`} cells={[events, source, type]} />
          ))}
        </Table>
      )}
      {plan.skipped > 0 && <p>{t("skipped", { count: plan.skipped })}</p>}
      {tables.length > 0 && <p>{t("elsewhere", { tables: tables.join(", ") })}</p>}
      {plan.handlers.length > 0 && <p>{t("handlers", { names: plan.handlers.join(", ") })}</p>}
      {plan.endpoints.length > 0 && <p>{t("endpoints", { names: plan.endpoints.join(", ") })}</p>}
    </>
  );
}

/** Nothing where nothing was given; null where it is no path with a value. */
function readWhere(text: string): Wanted | null {
  if (text === "") return [];
  const at = text.indexOf("=");
  const parsed = parseQuery(at === -1 ? text : `${text.slice(0, at)}=${JSON.stringify(text.slice(at + 1))}`);
  const [term] = parsed.ok ? parsed.terms : [];
  if (term?.kind !== "body" || term.not) return null;
  return [{ kind: "where", path: [...term.path], value: term.value }];
}
