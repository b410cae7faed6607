import { describe, expect, test } from "vitest";
import { envelopeSchema } from "./envelope.ts";

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

  test.each(["2026-06-01T14:32:00+0000", "2026-06-01t14:32:00z", "2026-06-01 14:32+02"])(
    "keeps a createdAt of %s as it was sent",
    (createdAt) => {
      expect(envelopeSchema.parse({ ...envelope, createdAt }).createdAt).toBe(createdAt);
    },
  );

  test.each([
    ["id", undefined],
    ["id", ""],
    ["id", 7],
    ["type", undefined],
    ["type", ""],
    ["createdAt", undefined],
    ["createdAt", 1_780_324_320],
    ["createdAt", "1780324320"],
    ["createdAt", "2026-06-01"],
    ["createdAt", "2026-06-01T14:32:00"],
    ["createdAt", "2026-02-30T14:32:00Z"],
    ["createdAt", `2026-06-01T14:32:00.${"0".repeat(100)}Z`],
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
