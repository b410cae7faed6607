import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { bodyQuery, indent } from "./body-view.tsx";
import { Button } from "./button.tsx";
import { TextField } from "./field.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";

const JsonEditor = lazy(() => import("./json-editor.tsx"));

const texts = defineTexts({
  en: {
    body: "Body to be handled instead",
    loading: "Reading the body…",
    binary: "The body is no text, so it cannot be edited here. `penstock replay create --with-body` takes a file.",
    what: "A new event is made of it, marked as a replay of this one, and every subscriber of its type gets it. This event stays as it is.",
    check: "Check",
    unchanged: "Nothing is changed yet.",
    refused: "It would not be understood ({reason}): {detail}",
    gets: {
      one: "It is understood. {count} subscriber gets it, though nothing of it came from the sender: {names}",
      other: "It is understood. {count} subscribers get it, though nothing of it came from the sender: {names}",
    },
    nobody: "It is understood. Nobody subscribes to its type {type}: it would be stored and that is all.",
    reason: "Why",
    reasonHint: "It stands in the audit log, and handlers see it.",
    replay: "Replay this body",
    done: "Replay {replay} has made",
  },
  it: {
    body: "Contenuto da elaborare al suo posto",
    loading: "Lettura del contenuto…",
    binary:
      "Il contenuto non è testo: qui non si può modificare. `penstock replay create --with-body` accetta un file.",
    what: "Se ne crea un nuovo evento, segnato come riesecuzione di questo, e lo riceve ogni iscritto al suo tipo. Questo evento resta com'è.",
    check: "Verifica",
    unchanged: "Non è ancora cambiato nulla.",
    refused: "Non verrebbe compreso ({reason}): {detail}",
    gets: {
      one: "È comprensibile. Lo riceve {count} iscritto, anche se nulla viene dal mittente: {names}",
      other: "È comprensibile. Lo ricevono {count} iscritti, anche se nulla viene dal mittente: {names}",
    },
    nobody: "È comprensibile. Nessuno è iscritto al suo tipo {type}: verrebbe salvato e basta.",
    reason: "Perché",
    reasonHint: "Resta nel registro di audit, e gli handler lo vedono.",
    replay: "Riesegui questo contenuto",
    done: "La riesecuzione {replay} ha creato",
  },
});

/** Another body for an event: edited, checked, and replayed once it is clear who gets it. */
export function EventEdit({ event }: { event: { source: string; id: string } }) {
  const t = useTexts(texts);
  const body = useQuery(bodyQuery(event, true));
  if (body.isPending) return <p className="text-dim">{t("loading")}</p>;
  if (body.error) return <ErrorNotice error={body.error} onRetry={() => void body.refetch()} />;
  if (body.data.encoding === "base64") return <p className="text-dim">{t("binary")}</p>;
  return <Editor event={event} original={indent(body.data.body)} />;
}

function Editor({ event, original }: { event: { source: string; id: string }; original: string }) {
  const t = useTexts(texts);
  const [text, setText] = useState(original);
  const [reason, setReason] = useState("");
  const check = useMutation({
    mutationFn: () => api.call("POST /events/{source}/{id}/replay-edited/check", { path: event, body: { body: text } }),
  });
  const replay = useMutation({
    mutationFn: () =>
      api.call("POST /events/{source}/{id}/replay-edited", {
        path: event,
        body: { body: text, ...(reason !== "" && { reason }) },
      }),
  });
  const edit = (next: string): void => {
    setText(next);
    // What was found out is about another text.
    check.reset();
    replay.reset();
  };
  return (
    <div className="flex flex-col gap-3">
      <p className="text-dim">{t("what")}</p>
      <Suspense fallback={<p className="text-dim">{t("loading")}</p>}>
        <JsonEditor label={t("body")} value={text} onValue={edit} />
      </Suspense>
      <div className="flex items-center gap-3">
        <Button disabled={text === original || check.isPending} onClick={() => check.mutate()}>
          {t("check")}
        </Button>
        {text === original && <span className="text-dim">{t("unchanged")}</span>}
      </div>
      {check.error && <ErrorNotice error={check.error} />}
      {check.data?.ok === false && (
        <Notice tone="bad">{t("refused", { reason: check.data.reason ?? "", detail: check.data.detail ?? "" })}</Notice>
      )}
      {check.data?.ok === true && !replay.isSuccess && (
        <>
          <Notice>
            {check.data.subscribers.length === 0
              ? t("nobody", { type: check.data.type ?? "–" })
              : t("gets", { count: check.data.subscribers.length, names: check.data.subscribers.join(", ") })}
          </Notice>
          <TextField
            label={t("reason")}
            hint={t("reasonHint")}
            value={reason}
            maxLength={500}
            onChange={(change) => setReason(change.target.value)}
          />
          <div>
            <Button look="primary" disabled={replay.isPending} onClick={() => replay.mutate()}>
              {t("replay")}
            </Button>
          </div>
        </>
      )}
      {replay.error && <ErrorNotice error={replay.error} />}
      {replay.data && (
        <Notice tone="good">
          {t("done", { replay: replay.data.replay })}{" "}
          <Link to="/events/$source/$id" params={{ source: event.source, id: replay.data.id }} className="underline">
            {replay.data.id}
          </Link>
        </Notice>
      )}
    </div>
  );
}
