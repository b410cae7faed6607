import type { EventIdentity } from "@penstock/sources";
import { expect, test } from "vitest";
import { toConflict, toNewEvent, type VerifiedEvent } from "./new-event.ts";

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

function keyOf(verified: VerifiedEvent): string {
  return toNewEvent(verified, 400, NOW).key;
}

test("source and id make the key, the body does not", () => {
  expect(keyOf(event({}, { body: Buffer.from("[]") }))).toBe(keyOf(event()));
  const others = [event({ id: "evt_2" }), event({}, { source: "other" }), event({ id: null })];
  expect(new Set([event(), ...others].map(keyOf)).size).toBe(4);
});

test("where the body may vary, the id alone tells a duplicate, and without an id the body does", () => {
  const hashOf = (id: string | null, body: string, bodyVaries: boolean): string =>
    toNewEvent(event({ id }, { body: Buffer.from(body), bodyVaries }), 400, NOW).bodyHash;
  expect(hashOf("evt_1", "[1]", true)).toBe(hashOf("evt_1", "[2]", true));
  expect(hashOf("evt_1", "[1]", false)).not.toBe(hashOf("evt_1", "[2]", false));
  expect(hashOf(null, "[1]", true)).not.toBe(hashOf(null, "[2]", true));
});

test("an event without an id is keyed by its source and body", () => {
  const nameless = event({ id: null });
  expect(keyOf(nameless)).toBe(keyOf(event({ id: null, type: "another" })));
  expect(keyOf(nameless)).not.toBe(keyOf(event({ id: null }, { body: Buffer.from("[]") })));
  expect(keyOf(nameless)).not.toBe(keyOf(event({ id: null }, { source: "other" })));
});

test("what one part of a key ends with cannot be what the next one begins with", () => {
  expect(keyOf(event({ id: "p_1" }, { source: "buzzbi" }))).not.toBe(keyOf(event({ id: "_1" }, { source: "buzzbip" })));
  expect(keyOf(event({ id: "{}" }))).not.toBe(keyOf(event({ id: null }, { body: Buffer.from("{}") })));
});

test("a conflict gets a key of its own for each body, and the same one each time", () => {
  const [one, two] = ["one", "two"].map((text) => toNewEvent(event({}, { body: Buffer.from(text) }), 400, NOW));
  const keys = [one!, toConflict(one!), toConflict(two!)].map(({ key }) => key);
  expect(new Set(keys).size).toBe(3);
  expect(toConflict(one!)).toEqual(toConflict(one!));
  expect(toConflict(one!)).toMatchObject({ problem: "id-conflict", body: one!.body, eventId: "evt_1" });
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
