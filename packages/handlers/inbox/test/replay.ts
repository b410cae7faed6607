import type { AnyEvent } from "@penstock/handler-sdk";

type Row = Record<string, unknown>;

/** What counts as later at the same time. */
const LATE = ["contact.updated", "conversation.resolved", "message.failed"];
const STATUS: Record<string, string> = { opened: "open" };

/**
 * What users expect of a history, worked out the simple way: its events applied in the order in which they happened, each
 * setting what it names. By table, then by source and id; only the columns that users look at most. Events must differ in
 * their {@link moment}.
 */
export function replay(events: readonly AnyEvent[]): Map<string, Map<string, Row>> {
  const tables = new Map(["contacts", "conversations", "messages"].map((table) => [table, new Map<string, Row>()]));
  for (const { type, source, data } of events.toSorted(inOrder)) {
    const said = storable(data);
    const [thing = "", what = ""] = type.split(".");
    const rows = tables.get(`${thing}s`);
    if (rows === undefined) continue;
    const key = `${source}/${String(said[`${thing}Id`])}`;
    const row = rows.get(key) ?? {};
    rows.set(key, row);
    const set = (values: Row): void => {
      for (const [column, value] of Object.entries(values)) if (value != null) row[column] = value;
    };
    if (thing === "contact") {
      const { name, email, phone, tags, fields } = said;
      set({ name, email, phone, tags, fields: { ...(row["fields"] as Row | undefined), ...(fields as Row | null) } });
    } else if (thing === "conversation") {
      set({ status: STATUS[what] ?? what, subject: said["subject"], assignee_id: said["assigneeId"] });
    } else {
      set({ status: what, body: said["body"], channel: said["channel"] });
    }
  }
  return tables;
}

/** When an event happened and what comes later at the same time; two that agree are told apart by their ids only. */
export function moment({ type, createdAt, receivedAt }: AnyEvent): number[] {
  return [
    Math.min(createdAt.getTime(), receivedAt.getTime() + 300_000),
    createdAt.getTime(),
    Number(LATE.includes(type)),
  ];
}

function inOrder(one: AnyEvent, other: AnyEvent): number {
  const [a, b] = [moment(one), moment(other)];
  const differs = a.findIndex((part, at) => part !== b[at]);
  return (a[differs] ?? 0) - (b[differs] ?? 0);
}

/** With U+FFFD for what a history may hold and Postgres cannot. */
function storable(data: object): Row {
  return JSON.parse(JSON.stringify(data).replaceAll(/\\u0000|\\ud83d/g, "\uFFFD")) as Row;
}
