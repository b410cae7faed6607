import type { Store } from "../connection/create-store.ts";
import { alone } from "./alone.ts";
import { noteFailingEndpoints } from "./note-failing-endpoints.ts";
import { noteRefused } from "./note-refused.ts";
import { settleIssues } from "./settle-issues.ts";
import { SORTED_AT_ONCE, sortDeadLetters } from "./sort-dead-letters.ts";
import { sortQuarantined } from "./sort-quarantined.ts";

/**
 * Sorts what has failed since the last time into issues, a page of each kind, and returns whether there is more. What is sorted
 * is marked in the same transaction, so nothing is counted twice. What died minutes before it was committed is found by a look at
 * `all`, which costs more where much has died since the last vacuum.
 */
export async function advanceIssues(store: Store, { all = false }: { readonly all?: boolean } = {}): Promise<boolean> {
  const sorted = await alone(store, async (client) => {
    const dead = await sortDeadLetters(client, all);
    const quarantined = await sortQuarantined(client);
    await noteFailingEndpoints(client);
    await noteRefused(client);
    return Math.max(dead, quarantined);
  });
  return sorted === SORTED_AT_ONCE;
}

/** Resolves issues of which nothing is left, and returns how many. */
export async function resolveSettledIssues(store: Store): Promise<number> {
  return (await alone(store, settleIssues)) ?? 0;
}
