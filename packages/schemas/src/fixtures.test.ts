import { expect, test } from "vitest";
import { BUZZBIP_EVENT_TYPES, buzzbipEventSchema } from "./buzzbip.ts";
import { fixtures, makeEvent, randomId } from "./fixtures.ts";

test.each(BUZZBIP_EVENT_TYPES)("an event made for %s is valid, new and of now", (type) => {
  const before = Date.now();
  const event = makeEvent(type);
  expect(buzzbipEventSchema.safeParse(event).success).toBe(true);
  expect(event.id).toMatch(/^evt_[0-9a-f]{16}$/);
  expect(event.data).toEqual(fixtures[type].data);
  expect(Date.parse(event.createdAt)).toBeGreaterThanOrEqual(before);
  expect(Date.parse(event.createdAt)).toBeLessThanOrEqual(Date.now());
});

test("overrides replace id and time, and are laid over the data", () => {
  const overrides = {
    id: "evt_1",
    createdAt: "2020-01-01T00:00:00Z",
    data: { name: "Bo", phone: undefined, extra: 1 },
  };
  expect(makeEvent("contact.created", overrides)).toEqual({
    id: "evt_1",
    type: "contact.created",
    createdAt: "2020-01-01T00:00:00Z",
    data: { contactId: "cnt_def456", name: "Bo", tags: ["lead"], fields: { language: "fr" }, extra: 1 },
  });
});

test("changing an event that was made leaves the fixture alone", () => {
  makeEvent("contact.created").data.tags?.push("changed");
  expect(makeEvent("contact.created").data.tags).toEqual(["lead"]);
});

test("random ids do not repeat", () => {
  expect(new Set(Array.from({ length: 10_000 }, () => randomId("msg"))).size).toBe(10_000);
});
