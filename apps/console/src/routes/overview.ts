import { wallClockMs } from "@penstock/schemas";
import type { overviewRoutes, RouteResult } from "@penstock/schemas/admin";
import { parseQuery } from "@penstock/schemas/search";
import {
  countEvents,
  countFailures,
  listHandlers,
  listIssues,
  readAnswerTimes,
  readBacklog,
  type Store,
} from "@penstock/store";
import type { Handlers } from "../api/register-routes.ts";
import { findAdvice, type SourceParts } from "../source-parts.ts";

type Overview = RouteResult<(typeof overviewRoutes)["GET /overview"]>;

const ATTENTION = 10;
const MOST_ACKNOWLEDGED = 50;
/** Handlers are marked as seen every 20 s. */
const SEEN_MS = 90_000;
/** However many people look, it is read once in this time. */
const KEPT_MS = 2_000;

export function createOverviewHandlers(store: Store, sources: SourceParts): Handlers<typeof overviewRoutes> {
  let kept: { readonly overview: Promise<Overview>; readonly at: number } | undefined;
  return {
    "GET /overview": () => {
      if (kept === undefined || performance.now() - kept.at > KEPT_MS) {
        const mine = { overview: readOverview(store, sources), at: performance.now() };
        kept = mine;
        mine.overview.catch(() => {
          if (kept === mine) kept = undefined;
        });
      }
      return kept.overview;
    },
  };
}

async function readOverview(store: Store, sources: SourceParts): Promise<Overview> {
  const lastHour = parseQuery("age<55m");
  const [open, acknowledged, backlog, accepted, failures, handlers, answers] = await Promise.all([
    listIssues(store, { states: ["open"] }, { limit: ATTENTION + 1 }),
    listIssues(store, { states: ["acknowledged"] }, { limit: MOST_ACKNOWLEDGED }),
    readBacklog(store),
    countEvents(store, { terms: lastHour.ok ? lastHour.terms : [], budgetMs: 1_000 }),
    countFailures(store),
    listHandlers(store),
    readAnswerTimes(store),
  ]);
  const from = Date.parse(accepted.from);
  const perBucket = accepted.counts.map((count, at) => ({
    at: new Date(from + at * accepted.bucketMs).toISOString(),
    count,
  }));
  // The last bucket has only begun.
  const last = accepted.counts.at(-2) ?? 0;
  return {
    attention: open.slice(0, ATTENTION).map((issue) => ({ ...issue, advice: findAdvice(sources, issue) })),
    moreIssues: open.length > ATTENTION,
    acknowledged: acknowledged.length,
    pendingEvents: backlog.pendingEvents,
    oldestPendingSeconds: backlog.oldestPendingSeconds,
    deliveries: backlog.deliveries,
    accepted: { bucketMs: accepted.bucketMs, perBucket, perSecond: (last * 1_000) / accepted.bucketMs },
    acknowledgements: {
      ...answers.recent,
      perMinute: answers.minutes.map(({ minute, ...times }) => ({ at: minute.toISOString(), ...times })),
    },
    failures,
    idleHandlers: handlers
      .filter(({ kind, seenAt }) => kind !== "endpoint" && wallClockMs() - seenAt.getTime() > SEEN_MS)
      .map(({ name }) => name),
  };
}
