import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import type { Source } from "../pages/sources.tsx";
import { Button } from "./button.tsx";
import { CopyText } from "./copy-text.tsx";
import { Dialog } from "./dialog.tsx";
import { SelectField, TextField } from "./field.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";
import { Table } from "./table.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: {
    title: "Signing secrets",
    fingerprint: "Fingerprint",
    where: "Where",
    added: "Added",
    used: "Last used",
    ends: "Ends",
    never: "never",
    no: "–",
    ended: "has ended: take it out of the environment",
    database: "database",
    environment: "environment ({variable})",
    add: "Add or rotate…",
    reveal: "Show",
    remove: "Remove…",
    none: "No secret counts: everything that this source sends is refused. Add one.",
    secret: "The secret",
    secretHint: "As the provider shows it. Leave it empty to have one made, where the provider lets you choose.",
    others: "The other secrets",
    keep: "count on",
    day: "end in 24 hours",
    week: "end in 7 days",
    now: "end now",
    save: "Add the secret",
    done: "Added {fingerprint}. Ingest accepts it within 5 seconds.",
    made: "Copy it to the provider now. It can be shown again by an admin, which the audit log tells.",
    close: "Close",
    removing: "Remove {fingerprint}?",
    removeText: "What is signed with it is refused within 5 seconds.",
    removeLast: "It is the last one that counts: everything that {source} sends will be refused.",
    removeNow: "Remove it",
  },
  it: {
    title: "Segreti di firma",
    fingerprint: "Impronta",
    where: "Dove",
    added: "Aggiunto",
    used: "Ultimo uso",
    ends: "Scade",
    never: "mai",
    no: "–",
    ended: "è scaduto: toglilo dall'ambiente",
    database: "database",
    environment: "ambiente ({variable})",
    add: "Aggiungi o ruota…",
    reveal: "Mostra",
    remove: "Rimuovi…",
    none: "Nessun segreto è valido: tutto ciò che questa sorgente invia viene rifiutato. Aggiungine uno.",
    secret: "Il segreto",
    secretHint: "Come lo mostra il provider. Lascialo vuoto per crearne uno, dove il provider te lo lascia scegliere.",
    others: "Gli altri segreti",
    keep: "restano validi",
    day: "scadono tra 24 ore",
    week: "scadono tra 7 giorni",
    now: "scadono ora",
    save: "Aggiungi il segreto",
    done: "Aggiunto {fingerprint}. Ingest lo accetta entro 5 secondi.",
    made: "Copialo ora presso il provider. Un amministratore può mostrarlo di nuovo, e il registro lo riporta.",
    close: "Chiudi",
    removing: "Rimuovere {fingerprint}?",
    removeText: "Ciò che è firmato con esso viene rifiutato entro 5 secondi.",
    removeLast: "È l'ultimo valido: tutto ciò che {source} invia verrà rifiutato.",
    removeNow: "Rimuovilo",
  },
});

const ENDS = { keep: null, day: 86_400_000, week: 7 * 86_400_000, now: 0 } as const;

type Secret = Source["secrets"][number];

/** The secrets of a source by their fingerprints, and how they are changed. */
export function SourceSecrets({ source, mayChange }: { source: Source; mayChange: boolean }) {
  const t = useTexts(texts);
  const [open, setOpen] = useState<"add" | Secret | null>(null);
  const reveal = useMutation({
    mutationFn: (fingerprint: string) =>
      api.call("POST /sources/{name}/secrets/{fingerprint}/reveal", { path: { name: source.name, fingerprint } }),
  });
  const live = source.secrets.filter(({ ended }) => !ended);
  return (
    <div className="flex flex-col gap-2">
      <div className="flex items-center justify-between gap-3">
        <h3 className="font-semibold">{t("title")}</h3>
        {mayChange && <Button onClick={() => setOpen("add")}>{t("add")}</Button>}
      </div>
      {live.length === 0 && <Notice tone="bad">{t("none")}</Notice>}
      {source.secrets.length > 0 && (
        <Table head={[t("fingerprint"), t("where"), t("added"), t("used"), t("ends"), ...(mayChange ? [""] : [])]}>
          {source.secrets.map((secret) => (
            <tr key={secret.fingerprint} className="border-t border-line">
              <td className="font-mono text-xs">{secret.fingerprint}</td>
              <td>
                {[
                  ...(secret.kept ? [t("database")] : []),
                  ...(secret.inEnvironment ? [t("environment", { variable: source.secretsFrom })] : []),
                ].join(", ")}
              </td>
              <td>
                <TimeAgo time={secret.addedAt} />
              </td>
              <td>{secret.usedAt === null ? t("never") : <TimeAgo time={secret.usedAt} />}</td>
              <td>{secret.ended ? t("ended") : secret.endsAt === null ? t("no") : <TimeAgo time={secret.endsAt} />}</td>
              {mayChange && (
                <td className="flex justify-end gap-2 py-1.5">
                  {secret.kept && (
                    <Button className="px-2 py-0.5 text-xs" onClick={() => reveal.mutate(secret.fingerprint)}>
                      {t("reveal")}
                    </Button>
                  )}
                  {!secret.ended && (
                    <Button look="danger" className="px-2 py-0.5 text-xs" onClick={() => setOpen(secret)}>
                      {t("remove")}
                    </Button>
                  )}
                </td>
              )}
            </tr>
          ))}
        </Table>
      )}
      {reveal.error && <ErrorNotice error={reveal.error} />}
      {reveal.data && <CopyText text={reveal.data.secret} />}
      <AddSecret source={source} open={open === "add"} onClose={() => setOpen(null)} />
      {open !== null && open !== "add" && (
        <RemoveSecret source={source} secret={open} isLast={live.length === 1} onClose={() => setOpen(null)} />
      )}
    </div>
  );
}

function AddSecret({ source, open, onClose }: { source: Source; open: boolean; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [others, setOthers] = useState<keyof typeof ENDS>("day");
  const add = useMutation({
    mutationFn: (secret: string) =>
      api.call("POST /sources/{name}/secrets", {
        path: { name: source.name },
        body: { ...(secret !== "" && { secret }), endOthersInMs: ENDS[others] },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["sources"] }),
  });
  const close = (): void => {
    add.reset();
    onClose();
  };
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    add.mutate(formText(event.currentTarget, "secret").trim());
  };
  return (
    <Dialog title={`${t("title")}: ${source.name}`} open={open} onClose={close}>
      {add.data ? (
        <div className="flex flex-col gap-3">
          <Notice tone="good">{t("done", { fingerprint: add.data.fingerprint })}</Notice>
          {add.data.secret !== null && (
            <>
              <CopyText text={add.data.secret} />
              <p className="text-dim">{t("made")}</p>
            </>
          )}
          <div>
            <Button onClick={close}>{t("close")}</Button>
          </div>
        </div>
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-3">
          <TextField label={t("secret")} hint={t("secretHint")} name="secret" autoComplete="off" spellCheck={false} />
          <SelectField
            label={t("others")}
            value={others}
            options={(["day", "week", "keep", "now"] as const).map((value) => ({ value, label: t(value) }))}
            onValue={setOthers}
          />
          {add.error && <ErrorNotice error={add.error} />}
          <div>
            <Button type="submit" look="primary" disabled={add.isPending}>
              {t("save")}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function RemoveSecret({
  source,
  secret: { fingerprint },
  isLast,
  onClose,
}: {
  source: Source;
  secret: Secret;
  isLast: boolean;
  onClose: () => void;
}) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      api.call("DELETE /sources/{name}/secrets/{fingerprint}", { path: { name: source.name, fingerprint } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["sources"] });
      onClose();
    },
  });
  return (
    <Dialog title={t("removing", { fingerprint })} open onClose={onClose}>
      <div className="flex flex-col gap-3">
        <p>{t("removeText")}</p>
        {isLast && <Notice tone="bad">{t("removeLast", { source: source.name })}</Notice>}
        {remove.error && <ErrorNotice error={remove.error} />}
        <div>
          <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
            {t("removeNow")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
