import { toStorableText } from "@penstock/schemas";
import { query, type Queryable, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";

/** What an operator did. */
export interface AuditEntry {
  /** Who did it, e.g. `cli:ada@host`. */
  readonly actor: string;
  /** Noun and verb as the command line has them, e.g. `handlers.pause`. */
  readonly action: string;
  /** The name or id of what was changed. */
  readonly target: string;
  /** What else a reader needs to know. Never a secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

const RECORD = statement({
  text: sql`
    INSERT INTO penstock.audit_log (actor, action, target, detail)
    VALUES (${{ actor: "text", action: "text", target: "text", detail: "json" }})`,
});

/** Puts on record what an operator does, in the transaction that does it: both commit, or neither. */
export async function recordAudit(tx: Queryable, { actor, action, target, detail = {} }: AuditEntry): Promise<void> {
  await query(tx, RECORD, {
    actor: toStorableText(actor),
    action,
    target: toStorableText(target),
    detail: JSON.stringify(detail),
  });
}

/** Which entries; what is left out is not asked for. */
export interface AuditFilter {
  readonly actor?: string;
  /** An action such as `handlers.pause`, or its noun for all actions of it. */
  readonly action?: string;
  readonly target?: string;
  readonly since?: Date;
  readonly until?: Date;
}

const LIST = statement({
  rows: {
    id: "int8",
    at: "timestamptz",
    actor: "text",
    action: "text",
    target: "text",
    detail: column<Readonly<Record<string, unknown>>>("json"),
  },
  text: sql`
    SELECT id, at, actor, action, target, detail FROM penstock.audit_log
     WHERE (${{ before: "int8?" }} IS NULL OR id < ${{ before: "int8?" }})
       AND (${{ actor: "text?" }} IS NULL OR actor = ${{ actor: "text?" }})
       AND (${{ target: "text?" }} IS NULL OR target = ${{ target: "text?" }})
       AND (${{ action: "text?" }} IS NULL OR action = ${{ action: "text?" }}
            OR starts_with(action, ${{ action: "text?" }} || '.'))
       AND (${{ since: "timestamptz?" }} IS NULL OR at >= ${{ since: "timestamptz?" }})
       AND (${{ until: "timestamptz?" }} IS NULL OR at < ${{ until: "timestamptz?" }})
     ORDER BY id DESC LIMIT ${{ limit: "int8" }}`,
});

/** An entry of the audit log. */
export type AuditRow = Omit<RowOf<typeof LIST>, "id"> & { readonly id: number };

/** What operators did, the newest first; of what is older than the entry with the id `before`, page by page. */
export async function listAudit(
  store: Store,
  filter: AuditFilter = {},
  { limit = 100, before }: { readonly limit?: number; readonly before?: number } = {},
): Promise<AuditRow[]> {
  const { actor, action, target, since, until } = filter;
  const { rows } = await query(store.pool, LIST, { actor, action, target, since, until, limit, before });
  return rows.map((row) => ({ ...row, id: Number(row.id) }));
}
