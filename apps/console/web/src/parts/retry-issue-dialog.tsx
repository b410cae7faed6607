import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { ErrorNotice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    title: "Retry all of this issue",
    counting: "Counting…",
    willRun: {
      one: "{count} will run again, with all its tries. What it has not begun can be put back.",
      other:
        "{count} will run again, with all their tries, at most 500 waiting at once. What has not begun can be put back.",
    },
    unknown:
      "How many will run again takes too long to tell. At most 500 wait at once, and what has not begun can be put back.",
    nothing: "Nothing is left of it.",
    retry: { one: "Retry {count}", other: "Retry {count}" },
    retryAll: "Retry all",
    cancel: "Cancel",
  },
  it: {
    title: "Riprova tutto questo problema",
    counting: "Conteggio…",
    willRun: {
      one: "{count} verrà ritentato, con tutti i suoi tentativi. Ciò che non è iniziato si può ripristinare.",
      other:
        "{count} verranno ritentati, con tutti i loro tentativi, al massimo 500 in attesa alla volta. Ciò che non è iniziato si può ripristinare.",
    },
    unknown:
      "Contare quanti verranno ritentati richiede troppo tempo. Al massimo 500 attendono alla volta, e ciò che non è iniziato si può ripristinare.",
    nothing: "Non ne rimane nulla.",
    retry: { one: "Riprova {count}", other: "Riprova {count}" },
    retryAll: "Riprova tutto",
    cancel: "Annulla",
  },
});

/** Says how many would run again, and has them. */
export function RetryIssueDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const counted = useQuery({
    queryKey: ["issue-retry", id],
    queryFn: ({ signal }) => api.call("GET /issues/{id}/retry", { path: { id }, signal }),
    staleTime: 0,
  });
  const retry = useMutation({
    mutationFn: () => api.call("POST /issues/{id}/retry", { path: { id } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["issue", String(id)] });
      onClose();
    },
  });
  const total = counted.data?.total;
  const error = counted.error ?? retry.error;
  return (
    <Dialog title={t("title")} open onClose={onClose}>
      <div className="flex flex-col gap-4">
        {error && <ErrorNotice error={error} />}
        {counted.isPending && <p>{t("counting")}</p>}
        {counted.isSuccess && (
          <p>
            {total === null || total === undefined
              ? t("unknown")
              : total === 0
                ? t("nothing")
                : t("willRun", { count: total })}
          </p>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t("cancel")}</Button>
          {counted.isSuccess && total !== 0 && (
            <Button look="primary" onClick={() => retry.mutate()} disabled={retry.isPending}>
              {total === null || total === undefined ? t("retryAll") : t("retry", { count: total })}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
