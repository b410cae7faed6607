import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import { api } from "../app/api.ts";
import { defineTexts, localeOf, useLanguage, useTexts } from "../app/language.tsx";
import { nameOf } from "./event-table.tsx";
import { formatMs } from "./measures.ts";
import { useOutcome } from "./outcome-texts.ts";
import { OfReplay } from "./of-replay.tsx";
import { StatusBadge } from "./status-badge.tsx";
import type { EventDetail } from "./timeline.tsx";
import { compareTries, tookMs, type Try } from "./try-change.ts";

const texts = defineTexts({
  en: {
    none: "No attempt but a first success, if any: such a one stands in the timeline alone.",
    try: "Try",
    outcome: "Outcome",
    at: "When",
    took: "Took",
    worker: "Worker",
    error: "Error",
    answer: "Answer",
    taken: "The receiver took it: it answered with a 2xx.",
    lane: "Lane {lane}",
    paused: "held: paused",
    disabled: "held: disabled",
    waitsFor: "waits for {id} in its lane",
    request: "Request: POST {url} (as it is set now), the event as JSON, signed anew for each try",
    waited: "{time} after the try before",
    sameError: "the same error",
    changedError: "{was} became {is}",
    changedTime: "took {is}, before {was}",
    otherWorker: "another worker",
  },
  it: {
    none: "Nessun tentativo oltre a un eventuale primo successo, che sta solo nella cronologia.",
    try: "Tentativo",
    outcome: "Esito",
    at: "Quando",
    took: "Durata",
    worker: "Worker",
    error: "Errore",
    answer: "Risposta",
    taken: "Il ricevente l'ha accettato: ha risposto con un 2xx.",
    lane: "Corsia {lane}",
    paused: "fermo: in pausa",
    disabled: "fermo: disattivato",
    waitsFor: "attende {id} nella sua corsia",
    request: "Richiesta: POST {url} (come è impostato ora), l'evento come JSON, firmato di nuovo a ogni tentativo",
    waited: "{time} dopo il tentativo precedente",
    sameError: "lo stesso errore",
    changedError: "{was} è diventato {is}",
    changedTime: "durata {is}, prima {was}",
    otherWorker: "un altro worker",
  },
});

type Delivery = EventDetail["deliveries"][number];

const isEndpoint = (subscriber: string): boolean => subscriber.startsWith("ep_");

/** Every try of each delivery, and what was different from the try before. */
export function EventAttempts({ event }: { event: EventDetail }) {
  const t = useTexts(texts);
  if (event.deliveries.every(({ attemptLog }) => attemptLog.length === 0))
    return <p className="text-dim">{t("none")}</p>;
  return (
    <div className="flex flex-col gap-5">
      {event.deliveries.map((delivery) => (
        <section key={delivery.subscriber} aria-label={delivery.subscriber}>
          <Head delivery={delivery} source={event.source} />
          {isEndpoint(delivery.subscriber) && <Request endpoint={delivery.subscriber} />}
          <Tries delivery={delivery} event={event} />
        </section>
      ))}
    </div>
  );
}

function Head({ delivery, source }: { delivery: Delivery; source: string }) {
  const t = useTexts(texts);
  const { subscriber, lane, heldBy, waitsFor } = delivery;
  return (
    <h3 className="mb-1 flex flex-wrap gap-3 font-semibold">
      {isEndpoint(subscriber) ? (
        <Link to="/endpoints/$id" params={{ id: subscriber }} className="underline">
          {subscriber}
        </Link>
      ) : (
        subscriber
      )}
      <StatusBadge state={delivery.state} />
      {lane !== null && <span className="font-normal text-dim">{t("lane", { lane })}</span>}
      {heldBy !== null && <span className="font-normal text-warn">{t(heldBy)}</span>}
      {waitsFor !== null && (
        <Link
          to="/events/$source/$id"
          params={{ source, id: waitsFor.eventId ?? `seq:${waitsFor.seq}` }}
          className="font-normal text-accent underline"
        >
          {t("waitsFor", { id: waitsFor.eventId ?? `seq:${waitsFor.seq}` })}
        </Link>
      )}
    </h3>
  );
}

/** What is sent to an endpoint. */
function Request({ endpoint }: { endpoint: string }) {
  const t = useTexts(texts);
  const found = useQuery({
    queryKey: ["endpoints", endpoint],
    queryFn: ({ signal }) => api.call("GET /endpoints/{id}", { path: { id: endpoint }, signal }),
    // One that was deleted is not asked for again.
    retry: false,
  });
  if (!found.data) return null;
  return <p className="mb-1 text-dim">{t("request", { url: found.data.url })}</p>;
}

function Tries({ delivery: { subscriber, attemptLog }, event }: { delivery: Delivery; event: EventDetail }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const outcome = useOutcome();
  const columns = ["try", "outcome", "at", "took", "worker", isEndpoint(subscriber) ? "answer" : "error"] as const;
  let before: Try | null = null;
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-left">
        <thead className="text-dim">
          <tr>
            {columns.map((each) => (
              <th key={each} scope="col" className="py-1 pr-4 font-medium">
                {t(each)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {attemptLog.map((attempt, nth) => {
            const isTry = !["retried", "skipped", "cancelled"].includes(attempt.outcome);
            const previous = before;
            if (isTry) before = attempt;
            const took = tookMs(attempt);
            return (
              <Fragment key={nth}>
                <tr className="border-t border-line align-top">
                  <td className="py-1 pr-4">{attempt.startedAt === null ? "" : attempt.attempt}</td>
                  <td className="py-1 pr-4">
                    {outcome(attempt.outcome)}
                    {attempt.note === null ? "" : ` (${attempt.note})`}
                    {attempt.replay !== null && <OfReplay event={nameOf(event)} replay={attempt.replay} />}
                  </td>
                  <td className="py-1 pr-4 whitespace-nowrap">
                    {new Date(attempt.startedAt ?? attempt.endedAt).toLocaleString(localeOf(language), {
                      dateStyle: "medium",
                      timeStyle: "medium",
                    })}
                  </td>
                  <td className="py-1 pr-4 whitespace-nowrap">{took === null ? "" : formatMs(took, language)}</td>
                  <td className="py-1 pr-4">{attempt.worker}</td>
                  <td className="py-1 pr-4 wrap-anywhere text-bad">
                    {[attempt.errorClass, attempt.errorMessage].filter((part) => part !== null).join(": ")}
                    {isEndpoint(subscriber) && attempt.outcome === "succeeded" && (
                      <span className="text-dim">{t("taken")}</span>
                    )}
                  </td>
                </tr>
                {isTry && previous !== null && (
                  <tr className="align-top">
                    <td />
                    <td colSpan={5} className="pb-1.5 text-xs text-dim">
                      <Change before={previous} after={attempt} />
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** What is different since the try before, in words. */
function Change({ before, after }: { before: Try; after: Try }) {
  const t = useTexts(texts);
  const { language } = useLanguage();
  const change = compareTries(before, after);
  const words = [
    ...(change.waitedMs === null ? [] : [t("waited", { time: formatMs(change.waitedMs, language) })]),
    ...(change.sameError ? [t("sameError")] : []),
    ...(change.errorClass ? [t("changedError", change.errorClass)] : []),
    ...(change.tookMs
      ? [
          t("changedTime", {
            was: formatMs(change.tookMs.was, language),
            is: formatMs(change.tookMs.is, language),
          }),
        ]
      : []),
    ...(change.otherWorker ? [t("otherWorker")] : []),
  ];
  return (
    <>
      {words.join(" · ")}
      {change.message && (
        <span className="block wrap-anywhere">
          {change.message.start}
          {change.message.was !== "" && <del className="text-bad">{change.message.was}</del>}
          {change.message.is !== "" && <ins className="text-good">{change.message.is}</ins>}
          {change.message.end}
        </span>
      )}
    </>
  );
}
