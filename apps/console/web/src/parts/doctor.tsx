import type { doctorRoutes, RouteResult } from "@penstock/schemas/admin";
import { useQuery } from "@tanstack/react-query";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { ErrorNotice } from "./notice.tsx";
import { Panel } from "./panel.tsx";
import { useMayOperate } from "./use-role.ts";

const texts = defineTexts({
  en: {
    title: "Doctor",
    asks: "Looks at Postgres, the queue, clocks, what waits, secrets and more. It changes nothing.",
    look: "Look now",
    looking: "Looking…",
    ok: "ok",
    warn: "look at it",
    fail: "fails",
    well: "All is well.",
    allLines: "What is in order",
    settings: "Settings of the console that are not at their defaults",
  },
  it: {
    title: "Diagnosi",
    asks: "Controlla Postgres, la coda, gli orologi, ciò che aspetta, i segreti e altro. Non cambia nulla.",
    look: "Controlla ora",
    looking: "Controllo…",
    ok: "ok",
    warn: "da guardare",
    fail: "non va",
    well: "Tutto bene.",
    allLines: "Ciò che è in ordine",
    settings: "Impostazioni della console diverse da quelle predefinite",
  },
});

type Diagnosis = RouteResult<(typeof doctorRoutes)["GET /doctor"]>;
type Line = Diagnosis["parts"][number]["findings"][number] & { readonly part: string };

const TONES = { ok: "text-good", warn: "text-warn", fail: "text-bad" } as const;

/** What `penstock doctor` tells, of the console's own settings; asked for by whoever looks, since it looks at much. */
export function DoctorPanel() {
  const t = useTexts(texts);
  const mayOperate = useMayOperate();
  const doctor = useQuery({
    queryKey: ["doctor"],
    queryFn: ({ signal }) => api.call("GET /doctor", { signal }),
    enabled: false,
  });
  if (!mayOperate) return null;
  const { data } = doctor;
  const lines = data?.parts.flatMap(({ part, findings }) => findings.map((finding) => ({ ...finding, part }))) ?? [];
  const wrong = [...lines.filter(({ level }) => level === "fail"), ...lines.filter(({ level }) => level === "warn")];
  const set = data?.settings.filter(({ from }) => from !== "default") ?? [];
  return (
    <Panel title={t("title")}>
      <p className="mb-2 text-dim">{t("asks")}</p>
      <Button onClick={() => void doctor.refetch()} disabled={doctor.isFetching}>
        {doctor.isFetching ? t("looking") : t("look")}
      </Button>
      {doctor.error && <ErrorNotice error={doctor.error} onRetry={() => void doctor.refetch()} />}
      {data && (
        <div className="mt-3 flex flex-col gap-3">
          {wrong.length === 0 && <p className="font-medium text-good">{t("well")}</p>}
          <Lines lines={wrong} nameOf={t} />
          <details>
            <summary className="cursor-pointer text-dim">{t("allLines")}</summary>
            <Lines lines={lines.filter(({ level }) => level === "ok")} nameOf={t} />
          </details>
          {set.length > 0 && (
            <details>
              <summary className="cursor-pointer text-dim">{t("settings")}</summary>
              <dl className="mt-2 grid grid-cols-[max-content_1fr] gap-x-6 gap-y-1">
                {set.map(({ name, value, from }) => (
                  <div key={name} className="contents">
                    <dt>
                      <code>{name}</code>
                    </dt>
                    <dd className="break-all">
                      {value} <span className="text-dim">{from}</span>
                    </dd>
                  </div>
                ))}
              </dl>
            </details>
          )}
        </div>
      )}
    </Panel>
  );
}

function Lines({
  lines,
  nameOf,
}: {
  readonly lines: readonly Line[];
  readonly nameOf: (level: Line["level"]) => string;
}) {
  return (
    <ul className="flex flex-col gap-2">
      {lines.map(({ id, level, part, says, todo }) => (
        <li key={id}>
          <p className="break-words">
            <span className={`font-medium ${TONES[level]}`}>{nameOf(level)}</span>{" "}
            <span className="text-dim">{part}:</span> {says}
          </p>
          {todo !== null && <p className="pl-4 text-dim">→ {todo}</p>}
        </li>
      ))}
    </ul>
  );
}
