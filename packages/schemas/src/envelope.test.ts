import { describe, expect, test } from "vitest";
import { envelopeSchema, parseCreatedAt } from "./envelope.ts";

const envelope = { id: "evt_1", type: "anything.at.all", createdAt: "2026-06-01T14:32:00Z", data: {} };

describe("envelopeSchema", () => {
  test("accepts a type that nobody has heard of", () => {
    expect(envelopeSchema.parse(envelope)).toEqual(envelope);
  });

  test("keeps unknown fields, in the envelope and in data", () => {
    const event = { ...envelope, workspace: "ws_1", data: { nested: { deep: [1, null] } } };
    expect(envelopeSchema.parse(event)).toEqual(event);
  });

  test("drops a key named __proto__ instead of changing a prototype", () => {
    const parsed = envelopeSchema.parse(
      JSON.parse(JSON.stringify(envelope).replace("{", '{"__proto__":{"admin":true},')),
    );
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
    expect(parsed["admin"]).toBeUndefined();
  });

  test.each([
    ["id", undefined],
    ["id", ""],
    ["id", 7],
    ["type", undefined],
    ["type", ""],
    ["createdAt", undefined],
    ["createdAt", 1_780_324_320],
    ["createdAt", "2026-06-01"],
    ["createdAt", "0000-06-01T14:32:00Z"],
    ["data", undefined],
    ["data", null],
    ["data", []],
    ["data", "text"],
  ])("refuses %s = %j and names it", (field, value) => {
    const result = envelopeSchema.safeParse({ ...envelope, [field]: value });
    expect(result.error?.issues.map((issue) => issue.path)).toEqual([[field]]);
  });
});

describe("parseCreatedAt", () => {
  test.each([
    ["2026-06-01T14:32:00Z", "2026-06-01T14:32:00.000Z"],
    ["2026-06-01T14:32:00.123456789Z", "2026-06-01T14:32:00.123Z"],
    ["2026-06-01T16:32:00+02:00", "2026-06-01T14:32:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ])("reads %s", (text, expected) => {
    expect(parseCreatedAt(text)?.toISOString()).toBe(expected);
  });

  test.each([
    undefined,
    null,
    0,
    {},
    "",
    "now",
    "June 1, 2026",
    "2026-06-01",
    "2026-06-01T14:32:00", // local to whom?
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-06-01T24:00:00Z",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "+275760-09-13T00:00:00Z",
  ])("answers null to %j", (value) => {
    expect(parseCreatedAt(value)).toBeNull();
  });

  test("answers null to a timestamp with a million digits without reading it", () => {
    expect(parseCreatedAt(`2026-06-01T14:32:00.${"0".repeat(1_000_000)}Z`)).toBeNull();
  });
});
