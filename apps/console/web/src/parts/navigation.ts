import type { LinkProps } from "@tanstack/react-router";
import { defineTexts } from "../app/language.tsx";

export const navigationTexts = defineTexts({
  en: {
    overview: "Overview",
    events: "Events",
    issues: "Issues",
    sources: "Sources",
    composer: "Composer",
    endpoints: "Endpoints",
    handlers: "Handlers",
    database: "Database",
    settings: "Settings",
  },
  it: {
    overview: "Panoramica",
    events: "Eventi",
    issues: "Problemi",
    sources: "Sorgenti",
    composer: "Compositore",
    endpoints: "Endpoint",
    handlers: "Handler",
    database: "Database",
    settings: "Impostazioni",
  },
});

/** What the navigation shows, in its order. `key`: typed after `g`, it goes there. `writes`: it is not for viewers. */
export const NAVIGATION = [
  { name: "overview", to: "/overview", key: "o" },
  { name: "events", to: "/events", key: "e" },
  { name: "issues", to: "/issues", key: "i" },
  { name: "sources", to: "/sources", key: "u" },
  { name: "composer", to: "/composer", key: "c", writes: true },
  { name: "endpoints", to: "/endpoints", key: "p" },
  { name: "handlers", to: "/handlers", key: "h" },
  { name: "database", to: "/database", key: "d" },
  { name: "settings", to: "/settings", key: "s" },
] as const satisfies readonly {
  readonly name: keyof typeof navigationTexts.en;
  readonly to: LinkProps["to"];
  readonly key: string;
  readonly writes?: true;
}[];
