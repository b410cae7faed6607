import { queryOptions, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { toCurl } from "./curl.ts";
import { ErrorNotice, Notice } from "./notice.tsx";
import { SendToMe } from "./send-to-me.tsx";

const texts = defineTexts({
  en: {
    pretty: "Pretty",
    exact: "Exact bytes",
    curl: "Copy as cURL",
    copied: "Copied",
    masked: "You may not see payloads: keys are shown, values are masked. An admin can change that in Settings.",
    sensitive: "Sensitive fields are masked. Who looks at them is put on record.",
    reveal: "Show sensitive fields",
    binary: "The body is no text: shown in base64.",
    loading: "Reading the body…",
  },
  it: {
    pretty: "Formattato",
    exact: "Byte esatti",
    curl: "Copia come cURL",
    copied: "Copiato",
    masked:
      "Non puoi vedere i contenuti: le chiavi sono mostrate, i valori mascherati. Un admin può cambiarlo nelle Impostazioni.",
    sensitive: "I campi sensibili sono mascherati. Chi li guarda resta registrato.",
    reveal: "Mostra i campi sensibili",
    binary: "Il contenuto non è testo: mostrato in base64.",
    loading: "Lettura del contenuto…",
  },
});

/** Reads the body of an event, which is put on record. `reveal`: with its sensitive fields. */
export const bodyQuery = (event: { source: string; id: string }, reveal: boolean) =>
  queryOptions({
    queryKey: ["event-body", event, reveal],
    // Not given up when the part is shown anew meanwhile: a second reading would be on record, too.
    queryFn: () => api.call("GET /events/{source}/{id}/body", { path: event, query: reveal ? { reveal: "true" } : {} }),
    // It never changes, and each reading is put on record.
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });

/** The body of an event. It is read when it is shown, and that is on record. */
export function BodyView({ event, maySign }: { event: { source: string; id: string }; maySign: boolean }) {
  const t = useTexts(texts);
  const [isExact, setIsExact] = useState(false);
  const [copied, setCopied] = useState(false);
  const [reveal, setReveal] = useState(false);
  const body = useQuery(bodyQuery(event, reveal));
  if (body.isPending) return <p className="text-dim">{t("loading")}</p>;
  if (body.error) return <ErrorNotice error={body.error} onRetry={() => void body.refetch()} />;
  const { masked, mayReveal, encoding, body: text } = body.data;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(
      toCurl({
        url: `http://localhost:3000/webhooks/${encodeURIComponent(event.source)}`,
        headers: { "content-type": "application/json" },
        body: text,
        encoding,
      }),
    );
    setCopied(true);
  };
  return (
    <div className="flex flex-col gap-3">
      {masked && <Notice>{t(mayReveal ? "sensitive" : "masked")}</Notice>}
      {encoding === "base64" && <Notice>{t("binary")}</Notice>}
      <div className="flex flex-wrap gap-2">
        <Button aria-pressed={!isExact} onClick={() => setIsExact(false)}>
          {t("pretty")}
        </Button>
        {mayReveal && <Button onClick={() => setReveal(true)}>{t("reveal")}</Button>}
        {!masked && (
          <>
            <Button aria-pressed={isExact} onClick={() => setIsExact(true)}>
              {t("exact")}
            </Button>
            <Button onClick={() => void copy()}>{t(copied ? "copied" : "curl")}</Button>
          </>
        )}
      </div>
      <pre
        className="max-h-[60vh] overflow-auto rounded-md bg-sunken p-3 font-mono text-xs whitespace-pre-wrap"
        tabIndex={0}
      >
        {isExact || encoding === "base64" ? text : indent(text)}
      </pre>
      {!masked && <SendToMe event={event} seq={body.data.seq} body={text} encoding={encoding} maySign={maySign} />}
    </div>
  );
}

/** Indents JSON without reading its numbers, which JSON.parse would round. */
export function indent(json: string): string {
  try {
    JSON.parse(json);
  } catch {
    return json;
  }
  let depth = 0;
  const line = (): string => `\n${"  ".repeat(depth)}`;
  return json.replaceAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|\s+/g, (token, at: number) => {
    if (/^\s/.test(token)) return "";
    if (token === "{" || token === "[") {
      if (/^\s*[}\]]/.test(json.slice(at + 1, at + 100))) return token;
      depth++;
      return token + line();
    }
    if (token === "}" || token === "]") {
      if (/[[{]\s*$/.test(json.slice(Math.max(0, at - 100), at))) return token;
      depth--;
      return line() + token;
    }
    return token === "," ? token + line() : token === ":" ? ": " : token;
  });
}
