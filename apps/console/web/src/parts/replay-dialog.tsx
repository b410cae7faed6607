import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { ErrorNotice, Notice } from "./notice.tsx";

const texts = defineTexts({
  en: {
    title: "Replay {id}",
    counting: "Counting what would be done again…",
    matches: {
      one: "{count} delivery is done again: {handlers}",
      other: "{count} deliveries are done again: {handlers}",
    },
    none: "There is nothing to do again: what waits or runs is done anyway.",
    again: "Do effects (ctx.once) again, too",
    replay: "Replay",
    cancel: "Cancel",
    done: "Replay {replay} runs now.",
    close: "Close",
  },
  it: {
    title: "Riesegui {id}",
    counting: "Si conta che cosa verrebbe rieseguito…",
    matches: {
      one: "{count} consegna viene rieseguita: {handlers}",
      other: "{count} consegne vengono rieseguite: {handlers}",
    },
    none: "Non c'è nulla da rieseguire: ciò che attende o è in corso verrà fatto comunque.",
    again: "Esegui di nuovo anche gli effetti (ctx.once)",
    replay: "Riesegui",
    cancel: "Annulla",
    done: "La riesecuzione {replay} è in corso.",
    close: "Chiudi",
  },
});

/** Asks whether an event is to be done again, and says how much that is. */
export function ReplayDialog({ event, onClose }: { event: { source: string; id: string }; onClose: () => void }) {
  const t = useTexts(texts);
  const queries = useQueryClient();
  const [again, setAgain] = useState(false);
  const count = useQuery({
    queryKey: ["replay-count", event],
    queryFn: ({ signal }) => api.call("GET /events/{source}/{id}/replay", { path: event, query: {}, signal }),
    staleTime: 0,
  });
  const replay = useMutation({
    mutationFn: () => api.call("POST /events/{source}/{id}/replay", { path: event, body: { again } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["event"] }),
  });
  const handlers = count.data?.handlers.map(({ name }) => name).join(", ") ?? "";
  const nothing = count.data?.total === 0;
  return (
    <Dialog title={t("title", { id: event.id })} open onClose={onClose}>
      <div className="flex flex-col gap-3">
        {count.isPending && <p className="text-dim">{t("counting")}</p>}
        {count.error && <ErrorNotice error={count.error} onRetry={() => void count.refetch()} />}
        {count.data && !replay.isSuccess && (
          <p>{nothing ? t("none") : t("matches", { count: count.data.total, handlers })}</p>
        )}
        {replay.error && <ErrorNotice error={replay.error} />}
        {replay.data && <Notice tone="good">{t("done", { replay: replay.data.replay })}</Notice>}
        {!replay.isSuccess && !nothing && (
          <label className="flex items-center gap-2">
            <input type="checkbox" checked={again} onChange={(change) => setAgain(change.target.checked)} />
            {t("again")}
          </label>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t(replay.isSuccess || nothing ? "close" : "cancel")}</Button>
          {!replay.isSuccess && !nothing && (
            <Button look="primary" disabled={!count.isSuccess || replay.isPending} onClick={() => replay.mutate()}>
              {t("replay")}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
