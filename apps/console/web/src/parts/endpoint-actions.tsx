import type { endpointRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { EndpointForm, type EndpointBody } from "./endpoint-form.tsx";
import { EndpointSecret } from "./endpoint-secret.tsx";
import { formatCount, formatMs } from "./measures.ts";
import { ErrorNotice, Notice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    test: "Send a test",
    edit: "Edit",
    pause: "Pause",
    resume: "Resume",
    rotate: "Rotate secret",
    reveal: "Show secret",
    recover: "Recover {count}",
    delete: "Delete",
    save: "Save",
    answered: "HTTP {status} after {time}",
    unanswered: "No answer after {time}: {message}",
    askRotate:
      "A new secret is made. For 24 hours both sign, the new one first: the receiver can change over at any moment.",
    askRecover:
      "To be sent again: {count}. These are dead, or were skipped while it was disabled. They get all tries, under the same webhook-id.",
    askDelete:
      "It is forgotten, its secret too. Deliveries that wait and are cancelled: {count}. What was delivered stays on record.",
    recovered: { one: "{count} delivery is sent again.", other: "{count} deliveries are sent again." },
    left: "{count} were not reached: recover again.",
    cancel: "Cancel",
    close: "Close",
  },
  it: {
    test: "Invia una prova",
    edit: "Modifica",
    pause: "Metti in pausa",
    resume: "Riprendi",
    rotate: "Ruota il segreto",
    reveal: "Mostra il segreto",
    recover: "Recupera {count}",
    delete: "Elimina",
    save: "Salva",
    answered: "HTTP {status} dopo {time}",
    unanswered: "Nessuna risposta dopo {time}: {message}",
    askRotate:
      "Viene creato un nuovo segreto. Per 24 ore firmano entrambi, il nuovo per primo: chi riceve può passare al nuovo in qualsiasi momento.",
    askRecover:
      "Da rispedire: {count}. Sono morte, o saltate mentre era disattivato. Hanno tutti i tentativi, con lo stesso webhook-id.",
    askDelete:
      "Viene dimenticato con il suo segreto. Consegne in attesa che vengono annullate: {count}. Ciò che è stato consegnato resta.",
    recovered: { one: "{count} consegna riparte.", other: "{count} consegne ripartono." },
    left: "{count} non sono state raggiunte: recupera di nuovo.",
    cancel: "Annulla",
    close: "Chiudi",
  },
});

type Endpoint = RouteAnswer<(typeof endpointRoutes)["GET /endpoints/{id}"]>;
type Asked = "edit" | "rotate" | "recover" | "delete" | "reveal";

/** What an operator may do with an endpoint. What cannot be taken back, or is many, is asked for first. */
export function EndpointActions({ endpoint }: { endpoint: Endpoint }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { id } = endpoint;
  const path = { id };
  const onSuccess = () => queries.invalidateQueries({ queryKey: ["endpoints"] });
  const pause = useMutation({ mutationFn: () => api.call("POST /endpoints/{id}/pause", { path }), onSuccess });
  const resume = useMutation({ mutationFn: () => api.call("POST /endpoints/{id}/resume", { path }), onSuccess });
  const test = useMutation({ mutationFn: () => api.call("POST /endpoints/{id}/test", { path, body: {} }) });
  const reveal = useMutation({ mutationFn: () => api.call("POST /endpoints/{id}/secret", { path }) });
  const rotate = useMutation({
    mutationFn: () => api.call("POST /endpoints/{id}/rotate", { path, body: {} }),
    onSuccess,
  });
  const recover = useMutation({
    mutationFn: () => api.call("POST /endpoints/{id}/recover", { path, body: {} }),
    onSuccess,
  });
  const edit = useMutation({
    mutationFn: (body: EndpointBody) => api.call("PATCH /endpoints/{id}", { path, body }),
    onSuccess: async () => {
      await onSuccess();
      setAsked(null);
    },
  });
  const remove = useMutation({
    mutationFn: () => api.call("DELETE /endpoints/{id}", { path }),
    onSuccess: async () => {
      await navigate({ to: "/endpoints" });
      await onSuccess();
    },
  });
  const close = (): void => {
    setAsked(null);
    for (const each of [edit, rotate, recover, remove, reveal]) each.reset();
  };
  const missed = formatCount(endpoint.missed, 1_000, language);
  const waiting = formatCount(endpoint.deliveries.pending + endpoint.deliveries.retrying, 1_000, language);
  const error = pause.error ?? resume.error ?? test.error;
  return (
    <div className="flex flex-wrap items-center gap-2">
      {error && <ErrorNotice error={error} />}
      {test.data && (
        <Notice tone={test.data.ok ? "good" : "bad"}>
          {test.data.answered
            ? t("answered", { status: String(test.data.status), time: formatMs(test.data.durationMs, language) })
            : t("unanswered", { message: test.data.message, time: formatMs(test.data.durationMs, language) })}
        </Notice>
      )}
      {endpoint.missed > 0 && (
        <Button look="primary" onClick={() => setAsked("recover")}>
          {t("recover", { count: missed })}
        </Button>
      )}
      <Button onClick={() => test.mutate()} disabled={test.isPending}>
        {t("test")}
      </Button>
      <Button onClick={() => setAsked("edit")}>{t("edit")}</Button>
      {endpoint.status === "active" ? (
        <Button onClick={() => pause.mutate()} disabled={pause.isPending}>
          {t("pause")}
        </Button>
      ) : (
        <Button onClick={() => resume.mutate()} disabled={resume.isPending}>
          {t("resume")}
        </Button>
      )}
      <Button
        onClick={() => {
          setAsked("reveal");
          reveal.mutate();
        }}
      >
        {t("reveal")}
      </Button>
      <Button onClick={() => setAsked("rotate")}>{t("rotate")}</Button>
      <Button look="danger" onClick={() => setAsked("delete")}>
        {t("delete")}
      </Button>
      <Dialog title={t("edit")} open={asked === "edit"} onClose={close}>
        <EndpointForm
          initial={endpoint}
          submit={t("save")}
          error={edit.error}
          busy={edit.isPending}
          onSubmit={edit.mutate}
          onCancel={close}
        />
      </Dialog>
      <Dialog title={t("reveal")} open={asked === "reveal"} onClose={close}>
        {reveal.error && <ErrorNotice error={reveal.error} />}
        {reveal.data && <EndpointSecret id={id} secret={reveal.data.secret} onDone={close} />}
      </Dialog>
      <Dialog title={t("rotate")} open={asked === "rotate"} onClose={close}>
        {rotate.data ? (
          <EndpointSecret
            id={id}
            secret={rotate.data.secret}
            previousUntil={rotate.data.previousSecretUntil}
            onDone={close}
          />
        ) : (
          <Question action={rotate} label={t("rotate")} onCancel={close}>
            {t("askRotate")}
          </Question>
        )}
      </Dialog>
      <Dialog title={t("recover", { count: missed })} open={asked === "recover"} onClose={close}>
        {recover.data ? (
          <div className="flex flex-col gap-4">
            <p>{t("recovered", { count: recover.data.deliveries })}</p>
            {recover.data.left > 0 && <p>{t("left", { count: recover.data.left })}</p>}
            <Button onClick={close}>{t("close")}</Button>
          </div>
        ) : (
          <Question action={recover} label={t("recover", { count: missed })} onCancel={close}>
            {t("askRecover", { count: missed })}
          </Question>
        )}
      </Dialog>
      <Dialog title={t("delete")} open={asked === "delete"} onClose={close}>
        <Question action={remove} label={t("delete")} danger onCancel={close}>
          {t("askDelete", { count: waiting })}
        </Question>
      </Dialog>
    </div>
  );
}

function Question({
  action,
  label,
  danger = false,
  onCancel,
  children,
}: {
  action: { mutate: () => void; isPending: boolean; error: Error | null };
  label: string;
  danger?: boolean;
  onCancel: () => void;
  children: ReactNode;
}) {
  const t = useTexts(texts);
  return (
    <div className="flex flex-col gap-4">
      <p>{children}</p>
      {action.error && <ErrorNotice error={action.error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>{t("cancel")}</Button>
        <Button look={danger ? "danger" : "primary"} onClick={() => action.mutate()} disabled={action.isPending}>
          {label}
        </Button>
      </div>
    </div>
  );
}
