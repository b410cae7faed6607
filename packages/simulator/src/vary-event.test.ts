import { BUZZBIP_EVENT_TYPES, buzzbipEventSchema } from "@penstock/schemas";
import { fixtures, makeEvent } from "@penstock/schemas/fixtures";
import { expect, test } from "vitest";
import { varyEvent } from "./vary-event.ts";

test.each(BUZZBIP_EVENT_TYPES)("a varied %s is valid and has no field that the fixture lacks", (type) => {
  for (const turn of [0, 1, 999, 1_000, 123_456]) {
    const event = makeEvent(type, { data: varyEvent(type, turn) });
    expect(buzzbipEventSchema.safeParse(event).success).toBe(true);
    expect(Object.keys(event.data)).toEqual(Object.keys(fixtures[type].data));
  }
});

test("a thousand contacts take turns, and the same number is the same contact again", () => {
  const contactOf = (turn: number) => varyEvent("message.received", turn)["contactId"] ?? "cnt_def456";
  expect(new Set(Array.from({ length: 5_000 }, (_, turn) => contactOf(turn))).size).toBe(1_000);
  expect(contactOf(1_007)).toBe(contactOf(7));
  expect(contactOf(1_000)).toBe("cnt_def456");
});

test("every message and every run is a new one", () => {
  for (const [type, field] of [
    ["message.sent", "messageId"],
    ["workflow.triggered", "runId"],
  ] as const) {
    expect(new Set(Array.from({ length: 100 }, () => varyEvent(type, 0)[field])).size).toBe(100);
  }
});
