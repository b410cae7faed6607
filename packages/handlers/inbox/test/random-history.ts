import type { AnyEvent } from "@penstock/handler-sdk";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import fc from "fast-check";
import { event } from "./inbox-under-test.ts";

// Few ids and few times, so that events meet and tie; texts that Postgres refuses, so that they have to be cleaned.
const text = fc.constantFrom(undefined, null, "", "a", "b", "c\0", "c\uFFFD", "\ud83d");
const contactId = fc.constantFrom("cnt_1", "__proto__");
const conversationId = fc.constantFrom("conv_1", "conv_2");
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.oneof(arbitrary, fc.constantFrom(null, undefined));
const ofMessage = {
  messageId: fc.constantFrom("msg_1", "msg_2"),
  conversationId,
  contactId,
  channel: text,
  body: text,
};
const ofConversation = {
  conversationId,
  contactId: optional(contactId),
  channel: text,
  subject: text,
  assigneeId: text,
};
const ofContact = {
  contactId,
  name: text,
  email: text,
  phone: text,
  tags: optional(fc.array(fc.constantFrom("vip", "lead\0"), { maxLength: 2 })),
  fields: optional(
    fc.dictionary(
      fc.constantFrom("city", "c\0", "c\uFFFD", "constructor"),
      fc.constantFrom<unknown>(null, 1, "Tunis", { street: "\0" }),
      { maxKeys: 3 },
    ),
  ),
};
const data: Record<AnyEvent["type"], fc.Arbitrary<Record<string, unknown>>> = {
  "message.received": fc.record({ ...ofMessage, from: text }),
  "message.sent": fc.record({ ...ofMessage, to: text, status: text }),
  "message.failed": fc.record({
    ...ofMessage,
    to: text,
    error: optional(fc.record({ code: fc.constantFrom(1, "x") })),
  }),
  "conversation.opened": fc.record(ofConversation),
  "conversation.resolved": fc.record(ofConversation),
  "contact.created": fc.record(ofContact),
  "contact.updated": fc.record(ofContact),
  "workflow.triggered": fc.record({
    workflowId: fc.constantFrom("wfl_1", "wfl_2"),
    runId: optional(fc.constantFrom("run_1")),
    contactId: optional(contactId),
    conversationId: optional(conversationId),
    name: text,
    trigger: text,
    input: fc.constantFrom<unknown>(undefined, null, 1, { "\0": "\0" }),
  }),
};

/** The fields that fixtures have and a history may leave out. */
const BLANK = Object.fromEntries(
  ["channel", "body", "from", "to", "status", "error", "contactId", "subject", "assigneeId", "runId", "conversationId"]
    .concat(["name", "email", "phone", "tags", "fields", "trigger", "input"])
    .map((field) => [field, undefined]),
);

/** A handful of events of all types about the same few things; no two have the same source and id. */
export const history: fc.Arbitrary<AnyEvent[]> = fc
  .uniqueArray(
    fc.constantFrom(...BUZZBIP_EVENT_TYPES).chain((type) =>
      fc.record({
        type: fc.constant(type),
        id: fc.oneof(
          { weight: 4, arbitrary: fc.stringMatching(/^evt_[0-9a-f]{2}$/) },
          fc.string({ unit: "binary", minLength: 1 }),
        ),
        source: fc.oneof({ weight: 5, arbitrary: fc.constant("buzzbip") }, fc.constant("constructor")),
        at: fc.oneof(
          { weight: 5, arbitrary: fc.integer({ min: 0, max: 4 }) },
          fc.constantFrom(304, 400, 800, "9999-12-31T23:59:59Z"),
        ),
        receivedAt: fc.integer({ min: 0, max: 8 }),
        data: data[type],
      }),
    ),
    { minLength: 1, maxLength: 14, selector: ({ source, id }) => JSON.stringify([source, id]) },
  )
  .map((events) =>
    events.map(({ type, data: said, ...rest }) => event(type, { ...rest, data: { ...BLANK, ...said } })),
  );

/** The events in some order, some of them more than once, cut into batches. */
export function arrivals(events: AnyEvent[]): fc.Arbitrary<AnyEvent[][]> {
  return fc
    .array(fc.constantFrom(...events), { maxLength: 5 })
    .chain((again) => fc.shuffledSubarray([...events, ...again], { minLength: events.length + again.length }))
    .chain((shuffled) =>
      fc
        .subarray([...shuffled.keys()])
        .map((cuts) => [0, ...cuts.filter((cut) => cut > 0)].map((cut, at, all) => shuffled.slice(cut, all[at + 1]))),
    );
}
