import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyOnce } from "./copy-once.tsx";
import { Dialog } from "./dialog.tsx";
import { SelectField, TextField } from "./field.tsx";
import { ErrorNotice } from "./notice.tsx";
import { Panel } from "./panel.tsx";
import { type Rights, RightsFields, rightsTexts } from "./rights-fields.tsx";
import { Table } from "./table.tsx";
import { TimeAgo } from "./time-ago.tsx";

type Token = RouteAnswer<AdminRoutes["GET /tokens"]>["items"][number];

const texts = defineTexts({
  en: {
    title: "API tokens",
    none: "There is no token yet. A program calls the API with one: Authorization: Bearer pst_…",
    make: "Make a token",
    name: "Name",
    rights: "May do",
    used: "Last used",
    never: "never",
    expires: "Valid",
    forever: "until it is revoked",
    days: { one: "for one day", other: "for {count} days" },
    revoke: "Revoke",
    revokeOf: "Revoke {name}",
    sure: "What uses {name} is refused from now on.",
    value: "The token: shown now, and never again",
    close: "Close",
    keep: "Keep it",
  },
  it: {
    title: "Token API",
    none: "Non c'è ancora nessun token. Un programma chiama l'API con un token: Authorization: Bearer pst_…",
    make: "Crea un token",
    name: "Nome",
    rights: "Può fare",
    used: "Ultimo uso",
    never: "mai",
    expires: "Valido",
    forever: "finché non viene revocato",
    days: { one: "per un giorno", other: "per {count} giorni" },
    revoke: "Revoca",
    revokeOf: "Revoca {name}",
    sure: "Chi usa {name} viene rifiutato da subito.",
    value: "Il token: mostrato ora, e mai più",
    close: "Chiudi",
    keep: "Mantieni",
  },
});

const DAYS = [30, 90, 365] as const;

/** What programs call the API with. */
export function Tokens() {
  const t = useTexts(texts);
  const rights = useTexts(rightsTexts);
  const [dialog, setDialog] = useState<"make" | Token | null>(null);
  const tokens = useQuery({ queryKey: ["tokens"], queryFn: ({ signal }) => api.call("GET /tokens", { signal }) });
  const items = tokens.data?.items ?? [];
  return (
    <Panel title={t("title")} actions={<Button onClick={() => setDialog("make")}>{t("make")}</Button>}>
      {tokens.error && <ErrorNotice error={tokens.error} onRetry={() => void tokens.refetch()} />}
      {tokens.isSuccess && items.length === 0 && <p className="text-dim">{t("none")}</p>}
      {items.length > 0 && (
        <Table head={[t("name"), t("rights"), t("used"), t("expires"), ""]}>
          {items.map((token) => (
            <tr key={token.id} className="border-t border-line">
              <td>
                {token.name} <code className="text-dim">{token.hint}…</code>
              </td>
              <td>{`${token.role}, ${rights(token.seesPayloads ? "seen" : "masked")}`}</td>
              <td>{token.lastUsedAt === null ? t("never") : <TimeAgo time={token.lastUsedAt} />}</td>
              <td>{token.expiresAt === null ? t("forever") : <TimeAgo time={token.expiresAt} />}</td>
              <td className="text-right">
                <Button look="danger" onClick={() => setDialog(token)} aria-label={t("revokeOf", { name: token.name })}>
                  {t("revoke")}
                </Button>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {dialog === "make" && <MakeToken onClose={() => setDialog(null)} />}
      {dialog !== null && dialog !== "make" && <RevokeToken token={dialog} onClose={() => setDialog(null)} />}
    </Panel>
  );
}

function MakeToken({ onClose }: { onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [rights, setRights] = useState<Rights>({ role: "viewer", seesPayloads: false });
  const [days, setDays] = useState("90");
  const make = useMutation({
    mutationFn: (body: { name: string; expiresInDays: number | null } & Rights) => api.call("POST /tokens", { body }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const name = formText(event.currentTarget, "name");
    make.mutate({ name, ...rights, expiresInDays: days === "" ? null : Number(days) });
  };
  return (
    <Dialog title={t("make")} open onClose={onClose}>
      {make.data ? (
        <div className="flex flex-col gap-3">
          <CopyOnce label={t("value")} value={make.data.value} />
          <div>
            <Button onClick={onClose}>{t("close")}</Button>
          </div>
        </div>
      ) : (
        <form onSubmit={onSubmit} className="flex flex-col gap-3">
          <TextField label={t("name")} name="name" autoComplete="off" maxLength={100} required />
          <RightsFields value={rights} onValue={setRights} />
          <SelectField
            label={t("expires")}
            value={days}
            options={[
              ...DAYS.map((count) => ({ value: String(count), label: t("days", { count }) })),
              { value: "", label: t("forever") },
            ]}
            onValue={setDays}
          />
          {make.error && <ErrorNotice error={make.error} />}
          <div>
            <Button type="submit" look="primary" disabled={make.isPending}>
              {t("make")}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function RevokeToken({ token, onClose }: { token: Token; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.call("DELETE /tokens/{id}", { path: { id: token.id } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["tokens"] });
      onClose();
    },
  });
  return (
    <Dialog title={t("revokeOf", { name: token.name })} open onClose={onClose}>
      <p className="mb-3">{t("sure", { name: token.name })}</p>
      {revoke.error && <ErrorNotice error={revoke.error} />}
      <div className="mt-3 flex gap-2">
        <Button look="danger" onClick={() => revoke.mutate()} disabled={revoke.isPending}>
          {t("revoke")}
        </Button>
        <Button onClick={onClose}>{t("keep")}</Button>
      </div>
    </Dialog>
  );
}
