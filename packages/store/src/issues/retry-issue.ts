import { randomUUID } from "node:crypto";
import type { Store } from "../connection/create-store.ts";
import { countReplay, type ReplayCount } from "../replay/count-replay.ts";
import { createReplay, type NewReplay } from "../replay/create-replay.ts";
import type { IssueRow } from "./list-issues.ts";

type Retryable = Pick<IssueRow, "id" | "kind" | "subject">;

/** What a retry of an issue takes: null for what is no delivery and no event, so that something else has to be done. */
function takenBy({ id, kind, subject }: Retryable): Omit<NewReplay, "id" | "request"> | null {
  if (kind === "dead-letter") return { issue: id, handler: subject, state: "dead" };
  return kind === "quarantine" ? { issue: id, among: "quarantined" } : null;
}

/** How many a retry of all of an issue would take; null when that takes too long to tell. `not-retryable`: see {@link retryIssue}. */
export async function countIssueRetry(store: Store, issue: Retryable): Promise<ReplayCount | "not-retryable" | null> {
  const taken = takenBy(issue);
  return taken === null ? "not-retryable" : countReplay(store, taken);
}

/**
 * Has all that is left of an issue done again, as a replay, which workers run page by page: `showReplay` tells how far it is,
 * and `cancelReplay` puts back what has not begun. Returns the id of the replay; null for an issue of which nothing can be
 * run again, e.g. an endpoint that is down.
 */
export async function retryIssue(
  store: Store,
  issue: Retryable,
  { actor }: { readonly actor: string },
): Promise<string | null> {
  const taken = takenBy(issue);
  if (taken === null) return null;
  const id = `issue-${issue.id}-${randomUUID().slice(0, 8)}`;
  await createReplay(
    store,
    { ...taken, id, request: { issue: issue.id }, reason: `retry of issue ${issue.id}` },
    actor,
  );
  return id;
}
