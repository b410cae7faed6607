import type { issuesRoutes, RouteCall, RouteResult } from "@penstock/schemas/admin";
import {
  cancelReplay,
  changeIssue,
  countIssueRetry,
  ISSUE_CHANGES,
  type IssueChange,
  type IssueDetail,
  listIssues,
  retryIssue,
  showIssue,
  showReplay,
  type Store,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Call, Handlers } from "../api/register-routes.ts";
import { findAdvice, type SourceParts } from "../source-parts.ts";
import { toReplayCount } from "./replays.ts";

type Detail = RouteResult<(typeof issuesRoutes)["GET /issues/{id}"]>;

const UNSETTLED = ["open", "acknowledged"] as const;

export function createIssuesHandlers(store: Store, sources: SourceParts): Handlers<typeof issuesRoutes> {
  const change =
    (name: IssueChange) =>
    async (
      { path: { id }, body: { note } }: RouteCall<(typeof issuesRoutes)["POST /issues/{id}/resolve"]>,
      { principal }: Call,
    ): Promise<Detail> => {
      const outcome = await changeIssue(store, id, name, omitUndefined({ actor: principal.actor, note }));
      if (!outcome.changed && outcome.state !== null) {
        throw new Problem(409, `The issue is ${outcome.state}`, {
          detail: `To ${name} takes one that is ${ISSUE_CHANGES[name].from.join(" or ")}.`,
        });
      }
      return toDetail(store, sources, await find(store, id));
    };
  return {
    "GET /issues": async ({ query: { state, kind, subject, cursor, limit } }) => {
      const states = state === "all" ? undefined : state === "unsettled" ? UNSETTLED : [state];
      const after = readCursor(cursor);
      const items = await listIssues(
        store,
        omitUndefined({ states, kind, subject }),
        omitUndefined({ after, limit: limit + 1 }),
      );
      const page = items.slice(0, limit);
      return { items: page, next: items.length > limit ? String(page.at(-1)?.id) : null };
    },
    "GET /issues/{id}": async ({ path: { id } }) => toDetail(store, sources, await find(store, id)),
    "POST /issues/{id}/acknowledge": change("acknowledge"),
    "POST /issues/{id}/resolve": change("resolve"),
    "POST /issues/{id}/ignore": change("ignore"),
    "POST /issues/{id}/reopen": change("reopen"),
    "GET /issues/{id}/retry": async ({ path: { id } }) => {
      const count = await countIssueRetry(store, await find(store, id));
      if (count === "not-retryable") throw notRetryable();
      return toReplayCount(count);
    },
    "POST /issues/{id}/retry": async ({ path: { id } }, { principal }) => {
      const issue = await find(store, id);
      if (issue.left === 0)
        throw new Problem(409, "Nothing is left of this issue", { detail: "There is nothing to run again." });
      const retry = await retryIssue(store, issue, principal);
      if (retry === null) throw notRetryable();
      return { retry };
    },
    "POST /issues/{id}/retries/{retry}/cancel": async ({ path: { id, retry } }, { principal }) => {
      const issue = await find(store, id);
      const cancelled = issue.replays.includes(retry) ? await cancelReplay(store, retry, principal.actor) : null;
      if (cancelled === null)
        throw new Problem(409, "This retry does not run any more", { detail: "There is nothing to end." });
      return cancelled;
    },
  };
}

const notRetryable = (): Problem =>
  new Problem(409, "Nothing of this issue can be run again", {
    detail: "Only dead letters and events in quarantine can.",
  });

async function find(store: Store, id: number): Promise<IssueDetail> {
  const issue = await showIssue(store, id);
  if (issue === null) throw new Problem(404, `There is no issue ${id}`);
  return issue;
}

async function toDetail(store: Store, sources: SourceParts, issue: IssueDetail): Promise<Detail> {
  const shown = await Promise.all(issue.replays.slice(0, 5).map((id) => showReplay(store, id)));
  return { ...issue, advice: findAdvice(sources, issue), retries: shown.filter((retry) => retry !== null) };
}

function readCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  if (!/^\d{1,9}$/.test(cursor)) throw new Problem(400, "The cursor is not one that this list has given");
  return Number(cursor);
}
