import { useQuery } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useLanguage, useTexts } from "../app/language.tsx";
import { formatBytes } from "./measures.ts";

const texts = defineTexts({
  en: {
    archive: "Archive",
    noArchive: "none: days go for good",
    nothing: "no day yet, in {url}",
    archived: {
      one: "{count} day ({bytes}), read back, in {url}",
      other: "{count} days ({bytes}), read back, in {url}",
    },
    newest: "the newest is {day}",
    waiting: { one: "{count} day waits for its archive", other: "{count} days wait for their archive" },
    damaged: "The archive of {day} is not as it was written, and the day is kept: {problem}",
  },
  it: {
    archive: "Archivio",
    noArchive: "nessuno: i giorni si perdono per sempre",
    nothing: "ancora nessun giorno, in {url}",
    archived: {
      one: "{count} giorno ({bytes}), riletto, in {url}",
      other: "{count} giorni ({bytes}), riletti, in {url}",
    },
    newest: "il più recente è {day}",
    waiting: { one: "{count} giorno da archiviare", other: "{count} giorni da archiviare" },
    damaged: "L'archivio del {day} non è come fu scritto, e il giorno resta: {problem}",
  },
});

/** A term and its descriptions: which days are archived before they go, what waits, and what is damaged. */
export function ArchiveFacts() {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const { data } = useQuery({
    queryKey: ["retention", "archive"],
    queryFn: ({ signal }) => api.call("GET /retention/archive", { signal }),
    refetchInterval: 60_000,
  });
  if (data === undefined) return null;
  const { archive } = data;
  const facts = ({ url, verified, bytes, newest, waiting }: NonNullable<typeof archive>): string =>
    [
      verified === 0
        ? t("nothing", { url })
        : t("archived", { count: verified, bytes: formatBytes(bytes, language), url }),
      ...(newest === null ? [] : [t("newest", { day: newest })]),
      ...(waiting.length === 0 ? [] : [t("waiting", { count: waiting.length })]),
    ].join("; ");
  return (
    <>
      <dt className="text-dim">{t("archive")}</dt>
      <dd className="wrap-anywhere">
        {archive === null ? t("noArchive") : facts(archive)}
        {archive?.damaged.map(({ day, problem }) => (
          <p key={day}>{t("damaged", { day, problem })}</p>
        ))}
      </dd>
    </>
  );
}
