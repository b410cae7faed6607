import type { NewEvent } from "@penstock/intake";
import { expect, test } from "vitest";
import { unpackArrival } from "./arrivals.ts";
import { packBatch, toConflict, type UnpackedEvent, unpackBatch } from "./batch-format.ts";

function newEvent(event: Partial<NewEvent> = {}): NewEvent {
  return {
    source: "buzzbip",
    eventId: "evt_1",
    key: null,
    type: null,
    createdAt: null,
    subjects: [],
    problem: null,
    traceparent: null,
    bodyVaries: false,
    body: Buffer.from("{}"),
    replay: null,
    ...event,
  };
}

/** What a batch of these events is unpacked to. */
function unpacked(...events: Partial<NewEvent>[]): UnpackedEvent[] {
  const { meta, bodies } = packBatch(events.map(newEvent));
  return unpackBatch({ batch: "7", day: "2026-06-01", received_us: "0", meta, bodies });
}

const keysOf = (...events: Partial<NewEvent>[]): string[] => unpacked(...events).map(({ key }) => key);
const hashesOf = (...events: Partial<NewEvent>[]): string[] => unpacked(...events).map(({ bodyHash }) => bodyHash);

test("what is packed is unpacked, each event with its place and its bytes", () => {
  const whole = newEvent({
    type: "message.sent",
    createdAt: new Date("2026-06-01T14:32:00.123Z"),
    subjects: [`c "quoted" \\ {a,b}`, "\u{1f600}"],
    problem: "too-old",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    body: Buffer.from([0, 0xff, 0x7b]),
    replay: { id: "rpl_1", of: 42 },
  });
  const [empty, second, third] = unpacked({ eventId: null, body: Buffer.alloc(0) }, whole, {});
  const { source, type, createdAt, subjects, problem, traceparent, body } = whole;
  expect(empty).toMatchObject({ seq: 7 * 1_024, day: "2026-06-01", id: null, bodyAt: 0, body: Buffer.alloc(0) });
  expect(second).toMatchObject({ source, type, createdAt, subjects, problem, traceparent, body });
  expect(second).toMatchObject({ id: "evt_1", seq: 7 * 1_024 + 1, bodyAt: 0, replayId: "rpl_1", replayOf: 42 });
  expect(third).toMatchObject({ type: null, replayId: null, subjects: [], bodyAt: 3, body: Buffer.from("{}") });
});

test("a batch holds 1 to 1,024 events", () => {
  expect(unpacked(...Array.from({ length: 1_024 }, () => ({}))).at(-1)?.seq).toBe(8 * 1_024 - 1);
  for (const count of [0, 1_025]) {
    expect(() => packBatch(Array.from({ length: count }, () => newEvent()))).toThrow(`not ${count}`);
  }
});

test("source and id make the key, the body does not", () => {
  const body = Buffer.from("[]");
  expect(new Set(keysOf({}, { body })).size).toBe(1);
  expect(new Set(keysOf({}, { eventId: "evt_2" }, { source: "other" }, { eventId: null })).size).toBe(4);
});

test("a key that was made of the id as sent comes before the one of the id that is shown", () => {
  const key = "a".repeat(32);
  expect(keysOf({ key })).toEqual([key]);
});

test("where the body may vary, the id alone tells a duplicate, and without an id the body does", () => {
  const [one, two] = [Buffer.from("[1]"), Buffer.from("[2]")];
  expect(new Set(hashesOf({ bodyVaries: true, body: one }, { bodyVaries: true, body: two })).size).toBe(1);
  expect(new Set(hashesOf({ body: one }, { body: two })).size).toBe(2);
});

test("an event without an id is keyed by its source and body", () => {
  const nameless = { eventId: null };
  expect(new Set(keysOf(nameless, { ...nameless, type: "another" })).size).toBe(1);
  const others = keysOf(nameless, { ...nameless, body: Buffer.from("[]") }, { ...nameless, source: "other" });
  expect(new Set(others).size).toBe(3);
});

test("what one part of a key ends with cannot be what the next one begins with", () => {
  expect(new Set(keysOf({ eventId: "p_1", source: "buzzbi" }, { eventId: "_1" })).size).toBe(2);
  expect(new Set(keysOf({ eventId: "{}" }, { eventId: null })).size).toBe(2);
});

test("a conflict gets a key of its own for each body, and the same one each time", () => {
  const [one, two] = unpacked({ body: Buffer.from("one") }, { body: Buffer.from("two") });
  expect(new Set([one!, toConflict(one!), toConflict(two!)].map(({ key }) => key)).size).toBe(3);
  expect(toConflict(one!)).toEqual(toConflict(one!));
  expect(toConflict(one!)).toMatchObject({ problem: "id-conflict", body: one!.body, id: "evt_1" });
});

test("how events came is packed each text once, and nothing where nothing is kept", () => {
  const names = ["user-agent", "x-try"];
  const arrival = (attempt?: string) => ({ names, values: ["Acme/1", attempt], secret: "ab12", signatureAgeMs: 1_500 });
  const events = [{ arrival: arrival("1") }, {}, { arrival: { ...arrival(), secret: null, signatureAgeMs: null } }];
  const { arrivals } = packBatch(events.map(newEvent));
  expect(arrivals?.match(/Acme/g)).toHaveLength(1);
  expect(unpackArrival(arrivals, 0)).toEqual({
    headers: [
      { name: "user-agent", value: "Acme/1" },
      { name: "x-try", value: "1" },
    ],
    secret: "ab12",
    signatureAgeMs: 1_500,
  });
  expect(unpackArrival(arrivals, 1)).toBeNull();
  expect(unpackArrival(arrivals, 2)).toEqual({
    headers: [{ name: "user-agent", value: "Acme/1" }],
    secret: null,
    signatureAgeMs: null,
  });
  expect(packBatch([newEvent(), newEvent({ arrival: null })]).arrivals).toBeNull();
});
