import { Link } from "@tanstack/react-router";
import { defineTexts, useTexts } from "../app/language.tsx";

const texts = defineTexts({ en: { of: "replay {id}" }, it: { of: "riesecuzione {id}" } });

/** The replay that made a try, with a link to the replays of its event. */
export function OfReplay({ event, replay }: { event: { source: string; id: string }; replay: string }) {
  const t = useTexts(texts);
  return (
    <Link
      to="/events/$source/$id"
      params={event}
      search={{ tab: "related" }}
      className="block text-xs text-accent underline"
    >
      {t("of", { id: replay })}
    </Link>
  );
}
