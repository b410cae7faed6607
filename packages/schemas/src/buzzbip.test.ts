import { describe, expect, expectTypeOf, test } from "vitest";
import {
  BUZZBIP_EVENT_TYPES,
  buzzbipEventSchema,
  buzzbipEventSchemas,
  isBuzzBipEventType,
  type BuzzBipEventOf,
  type BuzzBipEventType,
} from "./buzzbip.ts";
import { fixtures, makeEvent, sampleBody } from "./fixtures.ts";

const requiredIds: Record<BuzzBipEventType, string[]> = {
  "message.received": ["messageId", "conversationId", "contactId"],
  "message.sent": ["messageId", "conversationId", "contactId"],
  "message.failed": ["messageId", "conversationId", "contactId"],
  "conversation.opened": ["conversationId"],
  "conversation.resolved": ["conversationId"],
  "contact.created": ["contactId"],
  "contact.updated": ["contactId"],
  "workflow.triggered": ["workflowId"],
};

/** One row per type and field. */
function perField(fields: Record<string, string[]>): [BuzzBipEventType, string][] {
  return BUZZBIP_EVENT_TYPES.flatMap((type) =>
    (fields[type] ?? []).map((field): [typeof type, string] => [type, field]),
  );
}

/** Every field of the fixtures' data that may be missing. */
const optionalFields = Object.fromEntries(
  BUZZBIP_EVENT_TYPES.map((type) => [
    type,
    Object.keys(fixtures[type].data).filter((field) => !requiredIds[type].includes(field)),
  ]),
);

describe.each(BUZZBIP_EVENT_TYPES)("%s", (type) => {
  test("its fixture parses and comes out as it went in", () => {
    expect(buzzbipEventSchemas[type].parse(fixtures[type])).toEqual(fixtures[type]);
    expect(buzzbipEventSchema.parse(fixtures[type])).toEqual(fixtures[type]);
  });

  test("its ids alone are enough", () => {
    const data = Object.fromEntries(requiredIds[type].map((field) => [field, "x"]));
    expect(buzzbipEventSchemas[type].safeParse({ ...fixtures[type], data }).success).toBe(true);
  });

  test("its unknown fields are kept", () => {
    const event = { ...fixtures[type], workspace: { id: "ws_1" }, data: { ...fixtures[type].data, mood: ["good"] } };
    expect(buzzbipEventSchemas[type].parse(event)).toEqual(event);
  });

  test("its schema refuses any other type", () => {
    const other = BUZZBIP_EVENT_TYPES.find((candidate) => candidate !== type);
    const result = buzzbipEventSchemas[type].safeParse({ ...fixtures[type], type: other });
    expect(result.error?.issues.map((issue) => issue.path)).toEqual([["type"]]);
  });
});

describe.each(perField(requiredIds))("%s needs %s", (type, field) => {
  test.each([
    ["missing", undefined],
    ["null", null],
    ["empty", ""],
    ["a number", 7],
    ["longer than an index key may be", "x".repeat(257)],
    ["not storable: NUL", "cnt_\0"],
    ["not storable: half a surrogate pair", "cnt_\ud800"],
  ])("%s is refused by its path", (_, value) => {
    const result = buzzbipEventSchema.safeParse(makeEvent(type, { data: { [field]: value } }));
    expect(result.error?.issues.map((issue) => issue.path)).toEqual([["data", field]]);
  });
});

describe.each(perField(optionalFields))("%s can do without %s", (type, field) => {
  test.each([undefined, null])("%s is accepted", (value) => {
    expect(buzzbipEventSchema.safeParse(makeEvent(type, { data: { [field]: value } })).success).toBe(true);
  });
});

// A workflow's input is whatever its author wanted.
const typedFields = perField(optionalFields).filter(([, field]) => field !== "input");

test.each(typedFields)("%s refuses a value of the wrong type as %s", (type, field) => {
  const result = buzzbipEventSchema.safeParse(makeEvent(type, { data: { [field]: true } }));
  expect(result.error?.issues.map((issue) => issue.path)).toEqual([["data", field]]);
});

test("the documented sample is the fixture of message.received", () => {
  expect(JSON.parse(sampleBody)).toEqual(fixtures["message.received"]);
});

test("a numeric error code is accepted, as messaging channels have them", () => {
  const event = makeEvent("message.failed", { data: { error: { code: 131_026, title: "Undeliverable" } } });
  expect(buzzbipEventSchema.parse(event)).toEqual(event);
});

test.each(["constructor", "__proto__", "toString", "message.Received", ""])("%j is no event type", (type) => {
  expect(isBuzzBipEventType(type)).toBe(false);
  expect(buzzbipEventSchema.safeParse({ ...fixtures["message.received"], type }).success).toBe(false);
});

test("an event's type decides the type of its data", () => {
  expectTypeOf<BuzzBipEventOf<"message.received">["data"]["messageId"]>().toEqualTypeOf<string>();
  expectTypeOf<BuzzBipEventOf<"contact.updated">["data"]["tags"]>().toEqualTypeOf<string[] | null | undefined>();
  expectTypeOf<BuzzBipEventOf<"workflow.triggered">["type"]>().toEqualTypeOf<"workflow.triggered">();
});
