import type { AdminRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { useState } from "react";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";

const texts = defineTexts({
  en: {
    title: "Events over time: choose a bar, or drag over several, to see only these",
    bar: { one: "{from}: {count} event", other: "{from}: {count} events" },
    total: { one: "{count} event", other: "{count} events" },
    more: "{count}+ events; counted since {since}",
  },
  it: {
    title: "Eventi nel tempo: scegli una barra, o trascina su più barre, per vedere solo questi",
    bar: { one: "{from}: {count} evento", other: "{from}: {count} eventi" },
    total: { one: "{count} evento", other: "{count} eventi" },
    more: "{count}+ eventi; contati da {since}",
  },
});

type Counts = RouteAnswer<AdminRoutes["GET /events/histogram"]>;

/** Events over time, and the choice of a time among them. */
export function Histogram({ histogram, onTime }: { histogram: Counts; onTime: (after: Date, before: Date) => void }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const [drag, setDrag] = useState<{ first: number; last: number } | null>(null);
  const { counts, bucketMs, total, more, countedSince } = histogram;
  const most = Math.max(1, ...counts);
  const startMs = Date.parse(histogram.from);
  const at = (nth: number): Date => new Date(startMs + nth * bucketMs);
  const say = (date: Date): string =>
    date.toLocaleString(localeOf(language), { dateStyle: "short", timeStyle: "medium" });
  const isChosen = (nth: number): boolean =>
    drag !== null && nth >= Math.min(drag.first, drag.last) && nth <= Math.max(drag.first, drag.last);
  const finish = (nth: number): void => {
    const first = drag?.first ?? nth;
    setDrag(null);
    onTime(at(Math.min(first, nth)), at(Math.max(first, nth) + 1));
  };
  return (
    <figure>
      <div
        className="flex h-20 items-stretch select-none"
        role="group"
        aria-label={t("title")}
        onPointerLeave={() => setDrag(null)}
      >
        {counts.map((count, nth) => (
          <button
            key={nth}
            type="button"
            // One stop for the keyboard; arrows would be more than a time filter needs.
            tabIndex={count === 0 ? -1 : 0}
            aria-label={t("bar", { from: say(at(nth)), count })}
            title={t("bar", { from: say(at(nth)), count })}
            className={`flex min-w-0 flex-1 items-end px-px hover:bg-sunken ${isChosen(nth) ? "bg-sunken" : ""}`}
            onPointerDown={() => setDrag({ first: nth, last: nth })}
            onPointerEnter={(event) => drag !== null && event.buttons === 1 && setDrag({ ...drag, last: nth })}
            onPointerUp={() => finish(nth)}
            onKeyDown={(event) => event.key === "Enter" && finish(nth)}
          >
            <span
              className="w-full rounded-t-xs bg-accent"
              style={{ height: count === 0 ? 0 : `${Math.max(3, (count / most) * 100)}%` }}
            />
          </button>
        ))}
      </div>
      <figcaption className="mt-1 flex justify-between gap-3 text-xs text-dim">
        <span>{say(at(0))}</span>
        <span role="status">
          {more
            ? t("more", { count: total, since: countedSince === null ? "" : say(new Date(countedSince)) })
            : t("total", { count: total })}
        </span>
        <span>{say(new Date(histogram.to))}</span>
      </figcaption>
    </figure>
  );
}
