import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { formatBytes } from "./measures.ts";
import { ErrorNotice, Notice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    title: "Delete what is due",
    one: "{events} events of {day}, about {bytes}, go for good.",
    many: "{events} events of {days} days, from {day} to {last}, about {bytes}, go for good.",
    once: "A worker does the same each hour, without being asked.",
    failed: "{day}: {error}",
    run: "Delete",
    running: "Deleting…",
    cancel: "Cancel",
  },
  it: {
    title: "Elimina ciò che è scaduto",
    one: "{events} eventi del {day}, circa {bytes}, saranno eliminati per sempre.",
    many: "{events} eventi di {days} giorni, dal {day} al {last}, circa {bytes}, saranno eliminati per sempre.",
    once: "Un worker fa lo stesso ogni ora, da solo.",
    failed: "{day}: {error}",
    run: "Elimina",
    running: "Eliminazione…",
    cancel: "Annulla",
  },
});

/** Names the days and the bytes that would go, and has them deleted. */
export function RunRetentionDialog({
  days,
  frees,
  onClose,
}: {
  days: readonly { readonly day: string; readonly goes: number }[];
  frees: number;
  onClose: () => void;
}) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: () => api.call("POST /retention/run", { body: { days: days.map(({ day }) => day) } }),
    onSuccess: async ({ failed }) => {
      await queries.invalidateQueries({ queryKey: ["retention"] });
      await queries.invalidateQueries({ queryKey: ["database"] });
      if (failed.length === 0) onClose();
    },
  });
  const events = days.reduce((total, { goes }) => total + goes, 0).toLocaleString(language);
  const [day, last] = [days[0]?.day ?? "", days.at(-1)?.day ?? ""];
  return (
    <Dialog title={t("title")} open onClose={onClose}>
      <div className="flex flex-col gap-4">
        {run.error && <ErrorNotice error={run.error} />}
        {run.data?.failed.map(({ day, error }) => (
          <Notice key={day} tone="bad">
            {t("failed", { day, error })}
          </Notice>
        ))}
        <p>
          {t(days.length === 1 ? "one" : "many", {
            events,
            days: days.length,
            day,
            last,
            bytes: formatBytes(frees, language),
          })}
        </p>
        <p className="text-dim">{t("once")}</p>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button look="danger" onClick={() => run.mutate()} disabled={run.isPending}>
            {run.isPending ? t("running") : t("run")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
