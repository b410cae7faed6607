import { printQuery } from "@penstock/schemas/search";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../app/api.ts";
import { defineTexts, useTexts } from "../app/language.tsx";
import { Button } from "./button.tsx";
import { EventTable, nameOf } from "./event-table.tsx";
import { ErrorNotice } from "./notice.tsx";
import { TimeAgo } from "./time-ago.tsx";
import type { EventDetail } from "./timeline.tsx";

const texts = defineTexts({
  en: {
    copies: "Copies",
    noCopies: "It came once. A copy would be counted here, and not handled again.",
    copyCount: {
      one: "It came {count} more time with the same body, which was not handled again. The last copy:",
      other: "It came {count} more times with the same body, which was not handled again. The last copy:",
    },
    replays: "Replays",
    noReplays: "It was never replayed.",
    running: "running",
    done: "done",
    cancelled: "cancelled",
    made: "Made of it, with another body",
    lane: "In its lane {lane} of {subscriber}: what waits, runs or is dead, in order",
    noLane: "In its lanes",
    nothingInLane: "Nothing else waits, runs or is dead in a lane of it.",
    subject: "About the same",
    noSubject: "It is about nothing that other events could be found by.",
  },
  it: {
    copies: "Copie",
    noCopies: "È arrivato una volta. Una copia sarebbe contata qui, e non elaborata di nuovo.",
    copyCount: {
      one: "È arrivato {count} altra volta con lo stesso contenuto, non elaborata di nuovo. L'ultima copia:",
      other: "È arrivato altre {count} volte con lo stesso contenuto, non elaborate di nuovo. L'ultima copia:",
    },
    replays: "Riesecuzioni",
    noReplays: "Non è mai stato rieseguito.",
    running: "in corso",
    done: "finita",
    cancelled: "annullata",
    made: "Creati da questo, con un altro contenuto",
    lane: "Nella sua corsia {lane} di {subscriber}: ciò che attende, è in corso o è dead letter, in ordine",
    noLane: "Nelle sue corsie",
    nothingInLane: "Nient'altro attende, è in corso o è dead letter in una sua corsia.",
    subject: "Riguarda lo stesso",
    noSubject: "Non riguarda nulla per cui si possano trovare altri eventi.",
  },
});

const COLUMNS = ["received", "id", "type", "status", "handlers"] as const;

/** What has to do with an event. `about` is the subject whose events are shown; the first one unless given. */
export function EventRelated({
  event,
  about,
  onAbout,
}: {
  event: EventDetail;
  about: string | undefined;
  onAbout: (subject: string) => void;
}) {
  const t = useTexts(texts);
  const path = nameOf(event);
  const found = useQuery({
    queryKey: ["event", path, "related"],
    queryFn: ({ signal }) => api.call("GET /events/{source}/{id}/related", { path, signal }),
  });
  if (found.error) return <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />;
  if (!found.data) return null;
  const { copies, lanes, replays, made } = found.data;
  return (
    <div className="flex flex-col gap-5">
      <Part title={t("subject")}>
        <SameSubject event={event} about={about} onAbout={onAbout} />
      </Part>
      {lanes.map(({ subscriber, lane, deliveries }) => (
        <Part key={subscriber} title={t("lane", { lane, subscriber })}>
          <EventTable events={deliveries.map((one) => one.event)} columns={COLUMNS} chosen={null} />
        </Part>
      ))}
      {lanes.length === 0 && event.deliveries.some(({ lane }) => lane !== null) && (
        <Part title={t("noLane")}>
          <p className="text-dim">{t("nothingInLane")}</p>
        </Part>
      )}
      <Part title={t("copies")}>
        {copies.lastAt === null ? (
          <p className="text-dim">{t("noCopies")}</p>
        ) : (
          <p>
            {t("copyCount", { count: copies.count })} <TimeAgo time={copies.lastAt} />
          </p>
        )}
      </Part>
      <Part title={t("replays")}>
        {replays.length === 0 && <p className="text-dim">{t("noReplays")}</p>}
        <ul>
          {replays.map(({ id, status, reason, createdAt }) => (
            <li key={id}>
              <code className="font-mono text-xs">{id}</code> {t(status)}, <TimeAgo time={createdAt} />
              {reason === null ? "" : `: ${reason}`}
            </li>
          ))}
        </ul>
      </Part>
      {made.length > 0 && (
        <Part title={t("made")}>
          <EventTable events={made} columns={COLUMNS} chosen={null} />
        </Part>
      )}
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-1 font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function SameSubject({
  event: { seq, subjects },
  about,
  onAbout,
}: {
  event: EventDetail;
  about: string | undefined;
  onAbout: (subject: string) => void;
}) {
  const t = useTexts(texts);
  const subject = subjects.find((one) => one === about) ?? subjects[0];
  const q = printQuery([{ kind: "field", key: "subject", value: subject ?? "", prefix: false, not: false }]);
  const found = useQuery({
    queryKey: ["events", q, "related"],
    queryFn: ({ signal }) => api.call("GET /events", { query: { q, limit: 20 }, signal }),
    enabled: subject !== undefined,
  });
  if (subject === undefined) return <p className="text-dim">{t("noSubject")}</p>;
  if (found.error) return <ErrorNotice error={found.error} onRetry={() => void found.refetch()} />;
  return (
    <>
      <div className="mb-2 flex flex-wrap gap-2">
        {subjects.map((one) => (
          <Button
            key={one}
            aria-pressed={one === subject}
            className={`font-mono text-xs ${one === subject ? "border-accent" : ""}`}
            onClick={() => onAbout(one)}
          >
            {one}
          </Button>
        ))}
      </div>
      <EventTable events={found.data?.items ?? []} columns={COLUMNS} chosen={seq} />
    </>
  );
}
