import { describe, expect, test } from "vitest";
import { z } from "zod";
import { BUZZBIP_EVENT_TYPES } from "./buzzbip.ts";
import { fixtures, makeEvent } from "./fixtures.ts";
import { toJsonSchema } from "./json-schema.ts";

/** What a reader of the document gets: it went through JSON and was compiled from that alone. */
const document = JSON.parse(JSON.stringify(toJsonSchema())) as ReturnType<typeof toJsonSchema>;
const compiled = z.fromJSONSchema(document as Parameters<typeof z.fromJSONSchema>[0]);

test("the document is of draft 2020-12 and defines the envelope and every event", () => {
  expect(document.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(Object.keys(document.$defs)).toEqual(["envelope", ...BUZZBIP_EVENT_TYPES]);
});

describe.each(BUZZBIP_EVENT_TYPES)("%s", (type) => {
  test("accepts the fixture, with unknown fields too", () => {
    expect(compiled.safeParse(fixtures[type]).success).toBe(true);
    expect(compiled.safeParse({ ...makeEvent(type, { data: { extra: 1 } }), extra: 1 }).success).toBe(true);
  });

  test.each(["2026-06-01T14:32:00.123456789Z", "2026-06-01t14:32+0000", "2026-06-01 16:32:00+02"])(
    "accepts a createdAt of %s",
    (createdAt) => {
      expect(compiled.safeParse({ ...fixtures[type], createdAt }).success).toBe(true);
    },
  );

  test.each([
    { data: {} },
    { createdAt: "yesterday" },
    { createdAt: "2026-06-01T14:32:00" },
    { id: "" },
    { type: "message.unheard" },
  ])("refuses %j", (change) => {
    expect(compiled.safeParse({ ...fixtures[type], ...change }).success).toBe(false);
  });
});
