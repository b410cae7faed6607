import type { endpointRoutes, RouteAnswer } from "@penstock/schemas/admin";
import { defineTexts, useTexts } from "../app/language.tsx";
import { TimeAgo } from "./time-ago.tsx";

const texts = defineTexts({
  en: { active: "active", failing: "failing", paused: "paused", disabled: "disabled" },
  it: { active: "attivo", failing: "in errore", paused: "in pausa", disabled: "disattivato" },
});

const COLOURS = { active: "text-good", failing: "text-bad", paused: "text-warn", disabled: "text-bad" } as const;

type Endpoint = Pick<
  RouteAnswer<(typeof endpointRoutes)["GET /endpoints/{id}"]>,
  "status" | "failingSince" | "pausedAt" | "disabledAt"
>;

/** In which state an endpoint is, and since when. */
export function EndpointStatus({ endpoint }: { endpoint: Endpoint }) {
  const t = useTexts(texts);
  const { status, failingSince, pausedAt, disabledAt } = endpoint;
  const since = { active: null, failing: failingSince, paused: pausedAt, disabled: disabledAt }[status];
  return (
    <span className={`whitespace-nowrap ${COLOURS[status]}`}>
      ● {t(status)} {since !== null && <TimeAgo time={since} />}
    </span>
  );
}
