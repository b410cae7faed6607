import type { IssueKind, IssueState } from "@penstock/schemas";
import {
  changeIssue,
  countIssueRetry,
  type IssueChange,
  type IssueDetail,
  type IssueRow,
  listIssues,
  type ReplayCount,
  retryIssue,
  showIssue,
  type Store,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { type Call, readPages, unless } from "./answers.ts";
import { toReplayCount } from "./replays.ts";

/** Which issues; `unsettled`: open or acknowledged. */
export interface WantedIssues {
  readonly state: IssueState | "unsettled" | "all";
  readonly kind?: IssueKind;
  /** The handler, the endpoint or the source. */
  readonly subject?: string;
}

export interface IssueOperations {
  listIssues(wanted: WantedIssues, page: { readonly limit: number }): Promise<readonly IssueRow[]>;
  showIssue(id: number): Promise<IssueDetail | null>;
  /** False when its state does not allow it, or there is none. */
  changeIssue(id: number, change: IssueChange, by: { readonly note?: string }): Promise<boolean>;
  /** Null when it takes too long to tell. */
  countIssueRetry(issue: IssueDetail): Promise<ReplayCount | "not-retryable" | null>;
  /** The id of the replay; null when nothing of it can be run again. */
  retryIssue(issue: IssueDetail): Promise<string | null>;
}

export const issuesInStore = (store: Store, { actor }: CliContext): IssueOperations => ({
  listIssues: (wanted, page) => listIssues(store, toFilter(wanted), page),
  showIssue: (id) => showIssue(store, id),
  changeIssue: async (id, change, by) => (await changeIssue(store, id, change, { actor, ...by })).changed,
  countIssueRetry: (issue) => countIssueRetry(store, issue),
  retryIssue: (issue) => retryIssue(store, issue, { actor }),
});

function toFilter({ state, ...others }: WantedIssues): Parameters<typeof listIssues>[1] {
  if (state === "all") return others;
  return { ...others, states: state === "unsettled" ? ["open", "acknowledged"] : [state] };
}

export const issuesByApi = (call: Call): IssueOperations => ({
  listIssues: (wanted, { limit }) => readPages(limit, (page) => call("GET /issues", { query: { ...wanted, ...page } })),
  showIssue: async (id) => {
    const found = await unless([404], call("GET /issues/{id}", { path: { id } }));
    if (found === null) return null;
    const { retries: _retries, advice: _advice, ...issue } = found;
    return issue;
  },
  changeIssue: async (id, change, body) =>
    (await unless([404, 409], call(`POST /issues/{id}/${change}`, { path: { id }, body }))) !== null,
  countIssueRetry: async ({ id }) => {
    const count = await unless([409], call("GET /issues/{id}/retry", { path: { id } }));
    return count === null ? "not-retryable" : toReplayCount(count);
  },
  retryIssue: async ({ id }) => (await unless([409], call("POST /issues/{id}/retry", { path: { id } })))?.retry ?? null,
});
