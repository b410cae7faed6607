import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";
import { formatMs } from "./measures.ts";
import { useOutcome } from "./outcome-texts.ts";
import { StatusBadge } from "./status-badge.tsx";

const texts = defineTexts({
  en: {
    received: "received and committed",
    title: "Timeline to scale",
    attempt: "attempt {n}: {outcome}, {start}, took {took}",
    ended: "{outcome} at {end}",
    next: "next attempt at {at}",
    none: "Nobody subscribes to it.",
    waits: "It waits for a worker.",
  },
  it: {
    received: "ricevuto e salvato",
    title: "Cronologia in scala",
    attempt: "tentativo {n}: {outcome}, {start}, durata {took}",
    ended: "{outcome} alle {end}",
    next: "prossimo tentativo alle {at}",
    none: "Nessuno vi è iscritto.",
    waits: "Attende un worker.",
  },
});

export type EventDetail = RouteAnswer<AdminRoutes["GET /events/{source}/{id}"]>["items"][number];

const COLOURS: Readonly<Record<string, string>> = {
  succeeded: "bg-good",
  failed: "bg-bad",
  "timed-out": "bg-bad",
  interrupted: "bg-warn",
};

/** From the receipt of an event to its last effect: each delivery a line, each try a bar as long as it took. */
export function Timeline({ event }: { event: EventDetail }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const outcome = useOutcome();
  const startMs = Date.parse(event.receivedAt);
  const times = event.deliveries.flatMap(({ attemptLog, changedAt, nextAttemptAt }) => [
    ...attemptLog.map(({ endedAt }) => endedAt),
    changedAt,
    ...(nextAttemptAt === null ? [] : [nextAttemptAt]),
  ]);
  const spanMs = Math.max(1, ...times.map((time) => Date.parse(time) - startMs));
  const percent = (time: string): number => Math.min(100, Math.max(0, ((Date.parse(time) - startMs) / spanMs) * 100));
  const say = (time: string): string =>
    new Date(time).toLocaleString(localeOf(language), { dateStyle: "short", timeStyle: "medium" });
  if (event.deliveries.length === 0)
    return <p className="text-dim">{t(event.status === "pending" ? "waits" : "none")}</p>;
  return (
    <figure aria-label={t("title")} className="flex flex-col gap-2">
      <div className="flex justify-between pl-48 text-xs text-dim max-md:pl-0">
        <span>
          {say(event.receivedAt)} {t("received")}
        </span>
        <span>+{formatMs(spanMs, language)}</span>
      </div>
      {event.deliveries.map((delivery) => (
        <div key={delivery.subscriber} className="flex items-center gap-3 max-md:flex-col max-md:items-stretch">
          <span className="w-45 shrink-0 truncate" title={delivery.subscriber}>
            {delivery.subscriber} <StatusBadge state={delivery.state} />
          </span>
          <div className="relative h-5 flex-1 rounded bg-sunken">
            {delivery.attemptLog.map((attempt, nth) => {
              const from = percent(attempt.startedAt ?? attempt.endedAt);
              const label =
                attempt.startedAt === null
                  ? t("ended", { outcome: outcome(attempt.outcome), end: say(attempt.endedAt) })
                  : t("attempt", {
                      n: attempt.attempt,
                      outcome: outcome(attempt.outcome),
                      start: say(attempt.startedAt),
                      took: formatMs(Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt), language),
                    });
              return (
                <span
                  key={nth}
                  role="img"
                  aria-label={label}
                  title={label}
                  className={`absolute inset-y-1 min-w-1 rounded-xs ${COLOURS[attempt.outcome] ?? "bg-dim"}`}
                  style={{ left: `min(${from}%, calc(100% - 0.25rem))`, width: `${percent(attempt.endedAt) - from}%` }}
                />
              );
            })}
            {delivery.nextAttemptAt !== null && (
              <span
                role="img"
                aria-label={t("next", { at: say(delivery.nextAttemptAt) })}
                title={t("next", { at: say(delivery.nextAttemptAt) })}
                className="absolute inset-y-0 border-l-2 border-dashed border-warn"
                style={{ left: `min(${percent(delivery.nextAttemptAt)}%, calc(100% - 0.25rem))` }}
              />
            )}
          </div>
        </div>
      ))}
    </figure>
  );
}
