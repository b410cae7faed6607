import { expect, test } from "vitest";
import { describeDelivery } from "./describe-delivery.ts";

const now = new Date("2026-06-01T12:00:00Z");

test.each([
  ["succeeded", 1, null, "inbox ✓"],
  ["succeeded", 3, null, "inbox ✓ at try 3"],
  ["retrying", 3, "2026-06-01T12:00:20Z", "inbox retrying 3/10 in 20 s"],
  ["retrying", 3, "2026-06-01T11:59:00Z", "inbox retrying 3/10 now"],
  ["dead", 10, null, "inbox ✗ dead after 10 tries"],
  ["dead", 1, null, "inbox ✗ dead after 1 try"],
  ["running", 1, null, "inbox running"],
])("a delivery that is %s at try %i, next at %s, is shown as %s", (state, attempts, nextAttemptAt, shown) => {
  const delivery = { subscriber: "inbox", state, attempts, nextAttemptAt, heldBy: null, late: false };
  expect(describeDelivery(delivery, now, new Map([["inbox", 10]]))).toBe(shown);
  expect(describeDelivery({ ...delivery, late: true }, now, new Map([["inbox", 10]]))).toBe(`${shown} (late)`);
});

test.each([
  ["pending", "inbox pending (paused)"],
  ["retrying", "inbox retrying 2 (paused)"],
  ["succeeded", "inbox ✓ at try 2"],
])("of a paused handler, a delivery that is %s is shown as %s", (state, shown) => {
  const nextAttemptAt = state === "succeeded" ? null : "2026-06-01T11:59:00Z";
  const delivery = { subscriber: "inbox", state, attempts: 2, nextAttemptAt, heldBy: "paused", late: false } as const;
  expect(describeDelivery(delivery, now)).toBe(shown);
});

test("without the handler's code its limit is left out", () => {
  const delivery = {
    subscriber: "gone",
    state: "retrying",
    attempts: 3,
    nextAttemptAt: null,
    heldBy: null,
    late: false,
  };
  expect(describeDelivery(delivery, now, new Map([["inbox", 10]]))).toBe("gone retrying 3 now");
});
