/** Which issues the list shows; `unsettled`: open or acknowledged. */
export const ISSUE_LIST_STATES = ["unsettled", "open", "acknowledged", "resolved", "ignored", "all"] as const;

type IssueListState = (typeof ISSUE_LIST_STATES)[number];

/** What of the URL the list of issues understands. */
export function validateIssueSearch(search: Record<string, unknown>): { state?: IssueListState } {
  const state = ISSUE_LIST_STATES.find((one) => one === search["state"]);
  return state === undefined || state === "unsettled" ? {} : { state };
}
