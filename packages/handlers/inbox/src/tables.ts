/** The types of Postgres that merged columns have. */
export type ColumnType = "text" | "timestamptz" | "jsonb";

/** How the rows of a table are merged from what events say, whatever order these come in. Keyed by `source` and `id`. */
export interface MergedTable {
  readonly name: string;
  /** The key column beside `source`. */
  readonly id: string;
  /**
   * The columns of which the latest word counts, each with its type. Columns that stand together change together; the
   * first of them names the cell, and where it is null nothing has been said.
   */
  readonly cells: readonly Readonly<Record<string, ColumnType>>[];
  /** A jsonb object of which each key is a cell of its own. */
  readonly map?: string;
  /** Times of which the earliest counts. */
  readonly earliest: readonly string[];
  /** Times of which the latest counts. */
  readonly latest: readonly string[];
  /** Whether most events bring a row of their own, so that looking for it first would be in vain. */
  readonly mostlyNew: boolean;
}

type KeysOf<Union> = Union extends unknown ? keyof Union & string : never;
/** The columns of a table of which the latest word counts. */
export type CellColumn<T extends MergedTable> = KeysOf<T["cells"][number]>;
/** The columns of a table of which the earliest or the latest time counts. */
export type TimeColumn<T extends MergedTable> = T["earliest"][number] | T["latest"][number];

export const contacts = {
  name: "contacts",
  id: "contact_id",
  cells: [{ name: "text" }, { email: "text" }, { phone: "text" }, { tags: "jsonb" }],
  map: "fields",
  earliest: ["created_at", "first_seen_at"],
  latest: ["updated_at"],
  mostlyNew: false,
} as const satisfies MergedTable;

export const conversations = {
  name: "conversations",
  id: "conversation_id",
  cells: [
    { status: "text" },
    { contact_id: "text" },
    { channel: "text" },
    { subject: "text" },
    { assignee_id: "text" },
  ],
  earliest: ["first_seen_at"],
  latest: ["opened_at", "resolved_at", "updated_at"],
  mostlyNew: false,
} as const satisfies MergedTable;

export const messages = {
  name: "messages",
  id: "message_id",
  cells: [
    { conversation_id: "text", contact_id: "text" },
    { channel: "text" },
    { body: "text" },
    { sender: "text" },
    { recipient: "text" },
    // Together, so that a message which was sent after it had failed does not keep the error.
    {
      status: "text",
      status_at: "timestamptz",
      direction: "text",
      provider_status: "text",
      error_code: "text",
      error_message: "text",
    },
  ],
  earliest: ["created_at"],
  latest: [],
  mostlyNew: true,
} as const satisfies MergedTable;

export const workflowRuns = {
  name: "workflow_runs",
  id: "run_id",
  cells: [
    { workflow_id: "text" },
    { contact_id: "text" },
    { conversation_id: "text" },
    { name: "text" },
    { triggered_by: "text" },
    { input: "jsonb" },
  ],
  earliest: ["triggered_at"],
  latest: [],
  mostlyNew: true,
} as const satisfies MergedTable;

/** In the order in which every worker writes them: in another order two of them could wait for each other's rows. */
export const TABLES: readonly MergedTable[] = [contacts, conversations, messages, workflowRuns];
