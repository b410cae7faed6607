/** Every state of a delivery. */
export const DELIVERY_STATES = ["pending", "running", "succeeded", "retrying", "dead", "skipped", "cancelled"] as const;

/** Every status of an event. */
export const EVENT_STATUSES = ["pending", "processed", "quarantined"] as const;

/** The keys of terms that name a property of an event or of its deliveries, e.g. `type:message.received`. */
export type FieldKey = "type" | "source" | "handler" | "state" | "status" | "subject" | "id";

interface FieldRule {
  /** What the key asks for, for completion and for the help page. */
  readonly what: string;
  /** A value that makes sense, for error messages. */
  readonly example: string;
  /** Whether a star at the end stands for anything. */
  readonly wildcard: boolean;
  /** All values that there are, where the list is closed. */
  readonly values?: readonly string[];
}

export const FIELDS: Readonly<Record<FieldKey, FieldRule>> = {
  type: { what: "type of the event", example: "message.*", wildcard: true },
  source: { what: "source that sent the event", example: "buzzbip", wildcard: true },
  handler: { what: "handler or endpoint that got the event", example: "inbox", wildcard: true },
  state: { what: "state of a delivery", example: "dead", wildcard: false, values: DELIVERY_STATES },
  status: { what: "status of the event", example: "quarantined", wildcard: false, values: EVENT_STATUSES },
  subject: { what: "contact, conversation, message or workflow", example: "cnt_1", wildcard: false },
  id: { what: "id of the event", example: "evt_1", wildcard: false },
};

/** `type:message.*`. The same key several times means either value. `handler:` and `state:` speak of one delivery. */
export interface FieldTerm {
  readonly kind: "field";
  readonly key: FieldKey;
  readonly value: string;
  /** Whether the value is the beginning only: `message.*` has the value `message.`. */
  readonly prefix: boolean;
  readonly not: boolean;
}

/** `after:2026-01-01T00:00Z`: received then or later. `before:`: received earlier. */
export interface TimeTerm {
  readonly kind: "time";
  readonly key: "after" | "before";
  /** ISO 8601, in UTC. */
  readonly at: string;
}

/** `age<2h`: received in the last two hours. `age>2h`: received earlier. */
export interface AgeTerm {
  readonly kind: "age";
  readonly op: "<" | ">";
  readonly ms: number;
}

/** `data.contactId=cnt_1`: the value at a path in the body. An array has a value if one of its items does. */
export interface BodyTerm {
  readonly kind: "body";
  readonly path: readonly string[];
  readonly value: string;
  readonly not: boolean;
}

/** `"free text"`: whole words in the body, one after another, in any case. */
export interface TextTerm {
  readonly kind: "text";
  readonly text: string;
  readonly not: boolean;
}

/** One condition. An event is found if every condition holds; several fields with one key are one condition. */
export type Term = FieldTerm | TimeTerm | AgeTerm | BodyTerm | TextTerm;

/** Where a term or an error stands in the text of a query: from the first character up to the one after the last. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** What is wrong in a query, where, and what would be right. */
export interface QueryError extends Place {
  readonly message: string;
}

export type ParsedQuery =
  | { readonly ok: true; readonly terms: readonly Term[]; readonly places: readonly Place[] }
  | { readonly ok: false; readonly errors: readonly QueryError[] };

/** Longer queries are refused. */
export const MAX_QUERY_LENGTH = 2_000;

/** The units of `age`, from the longest on, in milliseconds. */
export const AGE_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;
