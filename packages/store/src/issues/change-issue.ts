import { type IssueState, toStorableText } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

/** What an operator can do with an issue, and the states that it starts from. Whoever ignores it hears of it no more. */
export const ISSUE_CHANGES = {
  acknowledge: { from: ["open"], to: "acknowledged" },
  resolve: { from: ["open", "acknowledged", "ignored"], to: "resolved" },
  ignore: { from: ["open", "acknowledged", "resolved"], to: "ignored" },
  reopen: { from: ["acknowledged", "resolved", "ignored"], to: "open" },
} as const satisfies Readonly<Record<string, { from: readonly IssueState[]; to: IssueState }>>;

export type IssueChange = keyof typeof ISSUE_CHANGES;

/** `changed`, or what it is instead: the state that does not allow it, or null where there is no such issue. */
export type IssueChangeOutcome =
  { readonly changed: true } | { readonly changed: false; readonly state: IssueState | null };

const CHANGE = statement({
  text: sql`
    UPDATE penstock.issues
       SET state = ${{ state: "text" }}, changed_at = now(), changed_by = ${{ actor: "text" }}, note = ${{ note: "text?" }}
     WHERE id = ${{ id: "int4" }} AND state = ANY(${{ from: "text[]" }})`,
});

const STATE = statement({
  rows: { state: column<IssueState>("text") },
  text: sql`SELECT state FROM penstock.issues WHERE id = ${{ id: "int4" }}`,
});

/** Moves an issue into another state, in the name of an operator. */
export async function changeIssue(
  store: Store,
  id: number,
  change: IssueChange,
  { actor, note }: { readonly actor: string; readonly note?: string },
): Promise<IssueChangeOutcome> {
  const { from, to } = ISSUE_CHANGES[change];
  return transaction(store, async (client) => {
    const { rowCount } = await query(client, CHANGE, {
      id,
      state: to,
      actor: toStorableText(actor),
      note: note && toStorableText(note),
      from,
    });
    if (rowCount === 1) {
      const detail = note === undefined ? {} : { note };
      await recordAudit(client, { actor, action: `issues.${change}`, target: String(id), detail });
      return { changed: true };
    }
    const [row] = (await query(client, STATE, { id })).rows;
    return { changed: false, state: row?.state ?? null };
  });
}
