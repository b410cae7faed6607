import type { EventIdentity } from "@penstock/sources";
import { expect, test } from "vitest";
import { toNewEvent, type VerifiedEvent } from "./new-event.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");
const DAY_MS = 86_400_000;

function event(identity: Partial<EventIdentity> = {}, rest: Partial<VerifiedEvent> = {}): VerifiedEvent {
  const whole = {
    id: "evt_1",
    type: "message.sent",
    createdAt: new Date(NOW),
    timeUnread: false,
    subjects: [],
    problem: null,
    ...identity,
  };
  return { source: "buzzbip", identity: whole, body: Buffer.from("{}"), traceparent: null, ...rest };
}

test("its key is kept only where the id that is shown cannot tell it", () => {
  const keyOf = (id: string | null): string | null => toNewEvent(event({ id }), 400, NOW).key;
  const [whole, long, longer, nul, half] = ["i".repeat(256), "i".repeat(257), "i".repeat(258), "i\0", "i\ud800"];
  expect([keyOf("evt_1"), keyOf(whole!), keyOf(null)]).toEqual([null, null, null]);
  const keys = [long, longer, nul, half].map((id) => keyOf(id!));
  expect(new Set(keys).size).toBe(4);
  for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
});

test("where there is no id, the body tells what it is, even of a provider whose bodies vary", () => {
  const varies = (id: string | null): boolean => toNewEvent(event({ id }, { bodyVaries: true }), 400, NOW).bodyVaries;
  expect([varies("evt_1"), varies(null)]).toEqual([true, false]);
});

test.each([
  [-400, null],
  [-400 - 1 / DAY_MS, "too-old"],
  [400, null],
])("an event from %d days away gets the problem %s", (days, problem) => {
  const createdAt = new Date(NOW + days * DAY_MS);
  expect(toNewEvent(event({ createdAt }), 400, NOW).problem).toBe(problem);
});

test("a problem of the body is told rather than one of its age", () => {
  expect(toNewEvent(event({ problem: "no-envelope", createdAt: new Date(0) }), 400, NOW).problem).toBe("no-envelope");
});
