import type { RouteInput, endpointRoutes } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { TextField } from "./field.tsx";
import { ErrorNotice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    url: "URL",
    urlHint: "Where events are posted to: https://…",
    events: "Events",
    all: "All events of providers",
    some: "Only these:",
    other: "Other types, with commas between",
    description: "Description",
    more: "Filter, order and limits",
    filter: "Filter",
    filterHint: "One per line: data.channel = whatsapp, sms. An event must have one of the values, of each line.",
    lane: "In order by",
    laneHint: "The path of a value, e.g. data.conversationId: events that share it are sent one after another.",
    header: "Header of a plain signature",
    headerHint: "For receivers that know no Standard Webhooks: the header that holds the HMAC-SHA256 of the body.",
    rate: "Requests per second, at most",
    badFilter: "A line of the filter is not like “path = value, value”: {line}",
    cancel: "Cancel",
  },
  it: {
    url: "URL",
    urlHint: "Dove inviare gli eventi: https://…",
    events: "Eventi",
    all: "Tutti gli eventi dei provider",
    some: "Solo questi:",
    other: "Altri tipi, separati da virgole",
    description: "Descrizione",
    more: "Filtro, ordine e limiti",
    filter: "Filtro",
    filterHint: "Uno per riga: data.channel = whatsapp, sms. L'evento deve avere uno dei valori, per ogni riga.",
    lane: "In ordine per",
    laneHint:
      "Il percorso di un valore, es. data.conversationId: gli eventi che lo condividono partono uno alla volta.",
    header: "Intestazione di una firma semplice",
    headerHint: "Per chi non conosce Standard Webhooks: l'intestazione con l'HMAC-SHA256 del corpo.",
    rate: "Richieste al secondo, al massimo",
    badFilter: "Una riga del filtro non è del tipo “percorso = valore, valore”: {line}",
    cancel: "Annulla",
  },
});

/** What the form is about. */
export type EndpointBody = RouteInput<(typeof endpointRoutes)["POST /endpoints"]>["body"];

/** Asks for what is set for an endpoint. */
export function EndpointForm({
  initial,
  submit,
  error,
  busy,
  onSubmit,
  onCancel,
}: {
  initial?: EndpointBody;
  submit: string;
  error: Error | null;
  busy: boolean;
  onSubmit: (body: EndpointBody) => void;
  onCancel: () => void;
}) {
  const t = useTexts(texts);
  const types = useQuery({
    queryKey: ["event-types"],
    queryFn: ({ signal }) => api.call("GET /event-types", { signal }),
  });
  const known = types.data?.items ?? [];
  const before = initial?.types ?? ["*"];
  const [all, setAll] = useState(before.includes("*"));
  const [problem, setProblem] = useState<string | null>(null);

  const onForm = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const filter = parseFilter(text("filter"));
    if (typeof filter === "string") {
      setProblem(t("badFilter", { line: filter }));
      return;
    }
    setProblem(null);
    const chosen = form.getAll("type").filter((type) => typeof type === "string");
    onSubmit({
      url: text("url"),
      types: all ? ["*"] : [...new Set([...chosen, ...splitList(text("other"))])],
      description: text("description") || null,
      filter,
      lane: text("lane") || null,
      headerName: text("headerName") || null,
      ratePerSecond: text("rate") === "" ? null : Number(text("rate")),
    });
  };
  return (
    <form onSubmit={onForm} className="flex flex-col gap-4">
      {problem !== null && <ErrorNotice error={new Error(problem)} />}
      {error && <ErrorNotice error={error} />}
      <TextField
        label={t("url")}
        hint={t("urlHint")}
        name="url"
        type="url"
        required
        autoFocus
        defaultValue={initial?.url}
      />
      <fieldset className="flex flex-col gap-1">
        <legend className="font-medium">{t("events")}</legend>
        <label className="flex min-h-6 items-center gap-2">
          <input type="radio" name="all" checked={all} onChange={() => setAll(true)} /> {t("all")}
        </label>
        <label className="flex min-h-6 items-center gap-2">
          <input type="radio" name="all" checked={!all} onChange={() => setAll(false)} /> {t("some")}
        </label>
        {!all && (
          <div className="flex flex-col gap-2 pl-6">
            <div className="grid grid-cols-1 gap-x-4 sm:grid-cols-2">
              {known.map((type) => (
                <label key={type} className="flex min-h-6 items-center gap-2">
                  <input type="checkbox" name="type" value={type} defaultChecked={before.includes(type)} />
                  <span className="font-mono text-xs">{type}</span>
                </label>
              ))}
            </div>
            <TextField
              label={t("other")}
              name="other"
              defaultValue={before.filter((type) => type !== "*" && !known.includes(type)).join(", ")}
            />
          </div>
        )}
      </fieldset>
      <TextField
        label={t("description")}
        name="description"
        maxLength={500}
        defaultValue={initial?.description ?? ""}
      />
      <details>
        <summary className="cursor-pointer font-medium">{t("more")}</summary>
        <div className="mt-3 flex flex-col gap-4">
          <label className="flex flex-col gap-1">
            <span className="font-medium">{t("filter")}</span>
            <textarea
              name="filter"
              rows={3}
              defaultValue={writeFilter(initial?.filter ?? null)}
              className="rounded-md border border-line bg-panel px-2.5 py-1.5 font-mono text-xs"
            />
            <span className="text-xs text-dim">{t("filterHint")}</span>
          </label>
          <TextField label={t("lane")} hint={t("laneHint")} name="lane" defaultValue={initial?.lane ?? ""} />
          <TextField
            label={t("header")}
            hint={t("headerHint")}
            name="headerName"
            defaultValue={initial?.headerName ?? ""}
          />
          <TextField label={t("rate")} name="rate" type="number" min={1} defaultValue={initial?.ratePerSecond ?? ""} />
        </div>
      </details>
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>{t("cancel")}</Button>
        <Button type="submit" look="primary" disabled={busy}>
          {submit}
        </Button>
      </div>
    </form>
  );
}

const splitList = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** The filter that lines of text are, null without any; or the first line that is none. */
function parseFilter(text: string): Record<string, string[]> | string | null {
  const filter: Record<string, string[]> = {};
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "") continue;
    const at = line.indexOf("=");
    const values = splitList(line.slice(at + 1));
    if (at < 1 || values.length === 0) return line;
    filter[line.slice(0, at).trim()] = values;
  }
  return Object.keys(filter).length === 0 ? null : filter;
}

const writeFilter = (filter: Readonly<Record<string, readonly string[]>> | null): string =>
  Object.entries(filter ?? {})
    .map(([path, values]) => `${path} = ${values.join(", ")}`)
    .join("\n");
