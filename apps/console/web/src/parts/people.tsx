import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type SubmitEvent, useState } from "react";
import { api } from "../app/api.ts";
import { formText } from "../app/form-text.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { CopyOnce } from "./copy-once.tsx";
import { Dialog } from "./dialog.tsx";
import { TextField } from "./field.tsx";
import { ErrorNotice } from "./notice.tsx";
import { Panel } from "./panel.tsx";
import { type Rights, RightsFields, rightsTexts } from "./rights-fields.tsx";
import { Table } from "./table.tsx";
import { TimeAgo } from "./time-ago.tsx";

type Person = RouteAnswer<AdminRoutes["GET /people"]>["items"][number];

const texts = defineTexts({
  en: {
    title: "People",
    invite: "Invite somebody",
    name: "Name",
    email: "Email",
    rights: "May do",
    seen: "Last seen",
    never: "never",
    disabled: "may not sign in",
    change: "Change",
    changeOf: "Change what {name} may do",
    save: "Save",
    disable: "Do not let in",
    enable: "Let in again",
    link: "Make a sign-in link",
    linkOf: "Sign-in link of {name}: works once, within three days",
    close: "Close",
  },
  it: {
    title: "Persone",
    invite: "Invita qualcuno",
    name: "Nome",
    email: "Email",
    rights: "Può fare",
    seen: "Ultimo accesso",
    never: "mai",
    disabled: "non può accedere",
    change: "Modifica",
    changeOf: "Modifica cosa può fare {name}",
    save: "Salva",
    disable: "Non far entrare",
    enable: "Fai entrare di nuovo",
    link: "Crea un link di accesso",
    linkOf: "Link di accesso di {name}: vale una volta, entro tre giorni",
    close: "Chiudi",
  },
});

/** Who may sign in, and what they may do. */
export function People() {
  const t = useTexts(texts);
  const rights = useTexts(rightsTexts);
  const [dialog, setDialog] = useState<"invite" | Person | null>(null);
  const people = useQuery({ queryKey: ["people"], queryFn: ({ signal }) => api.call("GET /people", { signal }) });
  return (
    <Panel title={t("title")} actions={<Button onClick={() => setDialog("invite")}>{t("invite")}</Button>}>
      {people.error && <ErrorNotice error={people.error} onRetry={() => void people.refetch()} />}
      <Table head={[t("name"), t("email"), t("rights"), t("seen"), ""]}>
        {people.data?.items.map((person) => (
          <tr key={person.id} className="border-t border-line">
            <td>{person.name}</td>
            <td>{person.email}</td>
            <td>
              {person.disabledAt === null
                ? `${person.role}, ${rights(person.seesPayloads ? "seen" : "masked")}`
                : t("disabled")}
            </td>
            <td>{person.seenAt === null ? t("never") : <TimeAgo time={person.seenAt} />}</td>
            <td className="text-right">
              <Button onClick={() => setDialog(person)} aria-label={t("changeOf", { name: person.name })}>
                {t("change")}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {dialog === "invite" && <Invite onClose={() => setDialog(null)} />}
      {dialog !== null && dialog !== "invite" && <ChangePerson person={dialog} onClose={() => setDialog(null)} />}
    </Panel>
  );
}

function Invite({ onClose }: { onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [rights, setRights] = useState<Rights>({ role: "viewer", seesPayloads: false });
  const invite = useMutation({
    mutationFn: (body: { email: string; name: string } & Rights) => api.call("POST /people", { body }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["people"] }),
  });
  const onSubmit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    invite.mutate({ email: formText(form, "email"), name: formText(form, "name"), ...rights });
  };
  return (
    <Dialog title={t("invite")} open onClose={onClose}>
      {invite.data ? (
        <Made name={invite.data.person.name} url={invite.data.link.url} onClose={onClose} />
      ) : (
        <form onSubmit={onSubmit} className="flex flex-col gap-3">
          <TextField label={t("email")} name="email" type="email" autoComplete="off" required />
          <TextField label={t("name")} name="name" autoComplete="off" maxLength={100} required />
          <RightsFields value={rights} onValue={setRights} />
          {invite.error && <ErrorNotice error={invite.error} />}
          <div>
            <Button type="submit" look="primary" disabled={invite.isPending}>
              {t("invite")}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function ChangePerson({ person, onClose }: { person: Person; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [rights, setRights] = useState<Rights>({ role: person.role, seesPayloads: person.seesPayloads });
  const change = useMutation({
    mutationFn: (body: Partial<Rights> & { disabled?: boolean }) =>
      api.call("PATCH /people/{id}", { path: { id: person.id }, body }),
    onSuccess: async () => {
      await Promise.all(["people", "me"].map((key) => queries.invalidateQueries({ queryKey: [key] })));
      onClose();
    },
  });
  const link = useMutation({
    mutationFn: () => api.call("POST /people/{id}/link", { path: { id: person.id } }),
  });
  const isDisabled = person.disabledAt !== null;
  return (
    <Dialog title={t("changeOf", { name: person.name })} open onClose={onClose}>
      {link.data ? (
        <Made name={person.name} url={link.data.url} onClose={onClose} />
      ) : (
        <div className="flex flex-col gap-3">
          <RightsFields value={rights} onValue={setRights} />
          {(change.error ?? link.error) && <ErrorNotice error={change.error ?? link.error ?? new Error("")} />}
          <div className="flex flex-wrap gap-2">
            <Button look="primary" onClick={() => change.mutate(rights)} disabled={change.isPending}>
              {t("save")}
            </Button>
            {!isDisabled && (
              <Button onClick={() => link.mutate()} disabled={link.isPending}>
                {t("link")}
              </Button>
            )}
            <Button look="danger" onClick={() => change.mutate({ disabled: !isDisabled })} disabled={change.isPending}>
              {t(isDisabled ? "enable" : "disable")}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

function Made({ name, url, onClose }: { name: string; url: string; onClose: () => void }) {
  const t = useTexts(texts);
  return (
    <div className="flex flex-col gap-3">
      <CopyOnce label={t("linkOf", { name })} value={url} />
      <div>
        <Button onClick={onClose}>{t("close")}</Button>
      </div>
    </div>
  );
}
