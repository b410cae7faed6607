import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyText } from "./copy-text.tsx";
import { toCurl } from "./curl.ts";
import { TextField } from "./field.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    title: "Send to my machine",
    url: "Your program's URL",
    urlHint:
      "It is kept in this browser. The console sends nothing there: your machine does, by one of these commands.",
    noUrl: "It must be an http or https URL.",
    listen: "Where the penstock command reaches this database, signed anew:",
    sign: "Copy as signed cURL",
    copied: "Copied: the exact bytes with a signature made now. It counts as long as the source's tolerance.",
    "no-secret": "Copied without a signature: no secret of the source is known to the console.",
    "provider-signs": "Copied without a signature: nobody but the provider can sign for this source.",
  },
  it: {
    title: "Invia alla mia macchina",
    url: "URL del tuo programma",
    urlHint:
      "Resta in questo browser. La console non vi invia nulla: lo fa la tua macchina, con uno di questi comandi.",
    noUrl: "Deve essere un URL http o https.",
    listen: "Dove il comando penstock raggiunge questo database, firmato di nuovo:",
    sign: "Copia come cURL firmato",
    copied: "Copiato: i byte esatti con una firma fatta ora. Vale finché lo consente la tolleranza della sorgente.",
    "no-secret": "Copiato senza firma: la console non conosce nessun segreto della sorgente.",
    "provider-signs": "Copiato senza firma: per questa sorgente può firmare solo il provider.",
  },
});

const KEY = "penstock-my-url";

/** Commands that send an event to a program on the reader's machine. */
export function SendToMe({
  event,
  seq,
  body,
  encoding,
  maySign,
}: {
  event: { source: string; id: string };
  seq: number;
  body: string;
  encoding: "utf8" | "base64";
  maySign: boolean;
}) {
  const t = useTexts(texts);
  const [url, setUrl] = useState(() => localStorage.getItem(KEY) ?? `http://localhost:3000/webhooks/${event.source}`);
  const isUrl = /^https?:\/\/[^\s']+$/.test(url);
  const sign = useMutation({
    mutationFn: async () => {
      const signed = await api.call("POST /events/{source}/{id}/signed", { path: event });
      await navigator.clipboard.writeText(toCurl({ url, headers: signed.headers, body, encoding }));
      return signed;
    },
  });
  return (
    <section aria-label={t("title")} className="flex flex-col gap-2 border-t border-line pt-3">
      <h3 className="font-semibold">{t("title")}</h3>
      <TextField
        label={t("url")}
        hint={t("urlHint")}
        value={url}
        spellCheck={false}
        aria-invalid={!isUrl}
        onChange={(change) => {
          setUrl(change.target.value);
          localStorage.setItem(KEY, change.target.value);
        }}
      />
      {isUrl ? (
        <>
          {maySign && (
            <div>
              <Button disabled={sign.isPending} onClick={() => sign.mutate()}>
                {t("sign")}
              </Button>
            </div>
          )}
          {sign.error && <ErrorNotice error={sign.error} />}
          {sign.data && <Notice>{t(sign.data.unsigned ?? "copied")}</Notice>}
          <p className="text-dim">{t("listen")}</p>
          <CopyText text={`penstock listen --event seq:${seq} --forward '${url}'`} />
        </>
      ) : (
        <p className="text-bad">{t("noUrl")}</p>
      )}
    </section>
  );
}
