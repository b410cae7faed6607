import type { AnyEvent, EventOf } from "@penstock/handler-sdk";
import {
  type CellColumn,
  contacts,
  conversations,
  type MergedTable,
  messages,
  type TimeColumn,
  workflowRuns,
} from "./tables.ts";
import { hintVersionOf, timeOf, toPlain, versionOf } from "./version.ts";
import { toStorable } from "./to-storable.ts";

/** A value, or several that stand together, and the version of the event that said so. */
export interface Cell {
  readonly version: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What one event says of one row. */
export interface Fact {
  readonly table: MergedTable;
  readonly source: string;
  readonly id: string;
  /** By the first of its columns. */
  readonly cells: ReadonlyMap<string, Cell>;
  /** The entries of the table's map, by key; the value stands under `value`. */
  readonly entries: ReadonlyMap<string, Cell>;
  readonly times: Readonly<Record<string, string>>;
}

type ContactEvent = EventOf<"contact.created" | "contact.updated">;
type ConversationEvent = EventOf<"conversation.opened" | "conversation.resolved">;
type MessageEvent = EventOf<"message.received" | "message.sent" | "message.failed">;
type WorkflowEvent = EventOf<"workflow.triggered">;

/** Who said it, and when. */
interface Origin {
  readonly source: string;
  readonly time: string;
  readonly version: string;
}

/**
 * What an event says, row by row. A field that is missing or null says nothing; an empty text or list says that there is
 * none. What it mentions gets a row too, so that a message is never without its conversation and contact.
 */
export function factsOf(event: AnyEvent): Fact[] {
  const time = timeOf(event);
  const origin = { source: event.source, time, version: versionOf(event, time) };
  switch (event.type) {
    case "contact.created":
    case "contact.updated":
      return contactFacts({ ...event, data: toStorable(event.data) }, origin);
    case "conversation.opened":
    case "conversation.resolved":
      return conversationFacts({ ...event, data: toStorable(event.data) }, origin);
    case "message.received":
    case "message.sent":
    case "message.failed":
      return messageFacts({ ...event, data: toStorable(event.data) }, origin);
    case "workflow.triggered":
      return workflowFacts({ ...event, data: toStorable(event.data) }, origin);
  }
}

function contactFacts({ type, data }: ContactEvent, origin: Origin): Fact[] {
  const { contactId, name, email, phone, tags, fields } = data;
  const { time } = origin;
  const created = type === "contact.created" ? { created_at: time } : {};
  return [
    fact(contacts, contactId, origin, {
      values: { name, email, phone, tags },
      entries: fields,
      times: { first_seen_at: time, updated_at: time, ...created },
    }),
  ];
}

function conversationFacts({ type, data }: ConversationEvent, origin: Origin): Fact[] {
  const { conversationId, contactId, channel, subject, assigneeId } = data;
  const { time } = origin;
  const opened = type === "conversation.opened";
  return [
    ...contactSeen(contactId, origin),
    fact(conversations, conversationId, origin, {
      values: {
        status: opened ? "open" : "resolved",
        contact_id: contactId,
        channel,
        subject,
        assignee_id: assigneeId,
      },
      times: { first_seen_at: time, updated_at: time, ...(opened ? { opened_at: time } : { resolved_at: time }) },
    }),
  ];
}

function messageFacts(event: MessageEvent, origin: Origin): Fact[] {
  const { messageId, conversationId, contactId, channel, body, from, to, status } = event.data;
  const error = event.type === "message.failed" ? event.data.error : undefined;
  const received = event.type === "message.received";
  return [
    ...contactSeen(contactId, origin),
    ...conversationSeen(conversationId, origin, { contact_id: contactId, channel }),
    fact(messages, messageId, origin, {
      values: {
        conversation_id: conversationId,
        contact_id: contactId,
        channel,
        body,
        sender: from,
        recipient: to,
        status: received ? "received" : event.type === "message.sent" ? "sent" : "failed",
        status_at: origin.time,
        direction: received ? "inbound" : "outbound",
        provider_status: status,
        error_code: error?.code?.toString(),
        error_message: error?.message,
      },
      times: { created_at: origin.time },
    }),
  ];
}

function workflowFacts({ id, data }: WorkflowEvent, origin: Origin): Fact[] {
  const { runId, workflowId, contactId, conversationId, name, trigger, input } = data;
  return [
    ...contactSeen(contactId, origin),
    ...conversationSeen(conversationId, origin, {}),
    // A run without an id is known by the event that told of it.
    fact(workflowRuns, runId ?? `event:${toPlain(id)}`, origin, {
      values: {
        workflow_id: workflowId,
        contact_id: contactId,
        conversation_id: conversationId,
        name,
        triggered_by: trigger,
        input,
      },
      times: { triggered_at: origin.time },
    }),
  ];
}

function contactSeen(id: string | null | undefined, origin: Origin): Fact[] {
  return id == null ? [] : [fact(contacts, id, origin, { times: { first_seen_at: origin.time } })];
}

function conversationSeen(
  id: string | null | undefined,
  origin: Origin,
  hints: Partial<Record<CellColumn<typeof conversations>, string | null | undefined>>,
): Fact[] {
  if (id == null) return [];
  const cells = new Map<string, Cell>();
  for (const [column, value] of Object.entries(hints)) {
    if (value != null) cells.set(column, { version: hintVersionOf(value), values: { [column]: value } });
  }
  return [{ ...fact(conversations, id, origin, { times: { first_seen_at: origin.time } }), cells }];
}

interface Said<T extends MergedTable> {
  readonly values?: { readonly [Column in CellColumn<T>]: unknown };
  readonly entries?: Readonly<Record<string, unknown>> | null | undefined;
  readonly times: { readonly [Column in TimeColumn<T>]?: string };
}

function fact<T extends MergedTable>(table: T, id: string, { source, version }: Origin, said: Said<T>): Fact {
  const cells = new Map<string, Cell>();
  const entries = new Map<string, Cell>();
  const values: Readonly<Record<string, unknown>> = said.values ?? {};
  for (const cell of table.cells) {
    const columns = Object.keys(cell);
    const [first = ""] = columns;
    if (values[first] == null) continue;
    cells.set(first, {
      version,
      values: Object.fromEntries(columns.map((column) => [column, values[column] ?? null])),
    });
  }
  for (const [key, value] of Object.entries(said.entries ?? {})) entries.set(key, { version, values: { value } });
  return { table, source, id, cells, entries, times: said.times as Readonly<Record<string, string>> };
}
