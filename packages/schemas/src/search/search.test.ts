import fc from "fast-check";
import { expect, test } from "vitest";
import { completeQuery, parseQuery, printQuery, setTime, type Term, timesOf } from "./index.ts";
import { matchBody } from "./match-body.ts";
import type { BodyTerm, TextTerm } from "./query.ts";

function termsOf(query: string): readonly Term[] {
  const parsed = parseQuery(query);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.terms;
}

/** Each error as `from-to: message`. */
function errorsOf(query: string): string[] {
  const parsed = parseQuery(query);
  return parsed.ok ? [] : parsed.errors.map(({ from, to, message }) => `${from}-${to}: ${message}`);
}

test("a query has fields, times, an age, values in the body and free text", () => {
  const query =
    'type:message.* handler:inbox state:dead source:buzzbip subject:cnt_1 id:evt_1 data.contactId=cnt_1 "free text" age<2h after:2026-01-01T00:00Z before:2026-02-01';
  expect(termsOf(query)).toEqual([
    { kind: "field", key: "type", value: "message.", prefix: true, not: false },
    { kind: "field", key: "handler", value: "inbox", prefix: false, not: false },
    { kind: "field", key: "state", value: "dead", prefix: false, not: false },
    { kind: "field", key: "source", value: "buzzbip", prefix: false, not: false },
    { kind: "field", key: "subject", value: "cnt_1", prefix: false, not: false },
    { kind: "field", key: "id", value: "evt_1", prefix: false, not: false },
    { kind: "body", path: ["data", "contactId"], value: "cnt_1", not: false },
    { kind: "text", text: "free text", not: false },
    { kind: "age", op: "<", ms: 7_200_000 },
    { kind: "time", key: "after", at: "2026-01-01T00:00:00.000Z" },
    { kind: "time", key: "before", at: "2026-02-01T00:00:00.000Z" },
  ]);
});

test.each([
  ["  refund\t-spam  ", "refund -spam"],
  ["-type:message.sent -state:dead", "-type:message.sent -state:dead"],
  ['type:"a*b" source:"a b"', 'type:"a*b" source:"a b"'],
  ['data."odd key".0=x "type"=y', 'data."odd key".0=x "type"=y'],
  ['data.note="" data.note="say \\"hi\\" \\\\ there"', 'data.note="" data.note="say \\"hi\\" \\\\ there"'],
  ["age<120min age>90m", "age<2h age>90m"],
  ["after:2026-01-01T02:00+02:00", "after:2026-01-01T00:00Z"],
  ["after:2026-01-01T00:00:00.5Z", "after:2026-01-01T00:00:00.500Z"],
  ["foo.bar", '"foo.bar"'],
  ["--odd", '-"-odd"'],
  ["data.url=https://x.example/a?b=c", "data.url=https://x.example/a?b=c"],
  ["type:*", "type:*"],
  ["", ""],
])("%s is printed as %s", (query, printed) => {
  expect(printQuery(termsOf(query))).toBe(printed);
  expect(termsOf(printed)).toEqual(termsOf(query));
});

test.each([
  ["colour:red", /^0-6: there is no key colour: the keys are type, .*, age; write "colour:red" to look for this text$/],
  ["a https://x.example", /^2-7: there is no key https: .* write "https:\/\/x\.example" to look for this text$/],
  ["state:broken", /^6-12: there is no state broken: it is one of pending, running, succeeded, /],
  ["status:dead", /^7-11: there is no status dead: it is one of pending, processed, quarantined$/],
  ["type:", /^0-5: the value is missing: write type:message\.\*$/],
  ["type:a*b", /^6-7: a \* may stand at the end only: write type:message\.\*, or "a\*b" for the character itself$/],
  ["id:evt_*", /^7-8: id: takes no \*/],
  ["type=x", /^0-5: write type:x, or "type"=x for a member of the body that is called so$/],
  ["data.a:x", /^0-6: a value in the body is asked for by =: write data\.a=x/],
  ["data.amount>5", /^0-13: > compares the age only: write age>2h/],
  ["data..a=x", /^5-8: the name of a member is missing/],
  ["data.a=", /^0-7: the value is missing: write data\.contactId=cnt_1, or ="" for an empty text$/],
  ['x "never closed', /^2-15: the closing " is missing$/],
  ['type:"a', /^5-7: the closing " is missing$/],
  ['"a"b', /^0-4: quotes stand around a whole text: write "ab"$/],
  ['type:"a"b', /^8-9: quotes stand around a whole value: write "ab"$/],
  ["age<soon", /^4-8: this is no age: write age<30m, age<2h or age<3d$/],
  ["age:2h", /^0-6: write age<2h for younger than two hours/],
  ["-age<2h", /^0-7: an age takes no -: write age>2h$/],
  ["after:yesterday", /^6-15: this is no time: write after:2026-01-01 or after:2026-01-01T00:00Z/],
  ["after:2026-01-01T00:00", /^6-22: this is no time: .*with its zone/],
  ["-before:2026-01-01", /^0-18: a time takes no -: write after:2026-01-01$/],
  ["-", /^0-1: after - comes what is to be left out/],
  ["invoi*", /^0-6: whole words are looked for, without \*: write "invoi"$/],
  ['"…"', /^0-3: a text to look for has at least one letter or digit$/],
  ["x".repeat(2_001), /^2000-2001: a query has 2000 characters at most, and this one has 2001$/],
])("%s is refused with the place and what would be right", (query, message) => {
  expect(errorsOf(query)).toHaveLength(1);
  expect(errorsOf(query)[0]).toMatch(message);
});

test("all that is wrong is told at once", () => {
  expect(errorsOf("state:x ok age<y")).toHaveLength(2);
});

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const plain = fc.stringMatching(/^[a-z_.:=<>-]{0,8}$/);
const not = fc.boolean();
const term: fc.Arbitrary<Term> = fc.oneof(
  fc.record({
    kind: fc.constant("field" as const),
    key: fc.constantFrom("type", "source", "handler"),
    value: plain,
    prefix: fc.constant(true),
    not,
  }),
  fc.record({
    kind: fc.constant("field" as const),
    key: fc.constantFrom("type", "source", "handler", "subject", "id"),
    value: text,
    prefix: fc.constant(false),
    not,
  }),
  fc.record({
    kind: fc.constant("field" as const),
    key: fc.constant("state" as const),
    value: fc.constantFrom("dead", "pending"),
    prefix: fc.constant(false),
    not,
  }),
  fc.record({
    kind: fc.constant("time" as const),
    key: fc.constantFrom("after", "before"),
    at: fc
      .date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T00:00:00Z"), noInvalidDate: true })
      .map((date) => date.toISOString()),
  }),
  fc.record({
    kind: fc.constant("age" as const),
    op: fc.constantFrom("<", ">"),
    ms: fc
      .tuple(fc.integer({ min: 0, max: 999_999 }), fc.constantFrom(1_000, 60_000, 3_600_000, 86_400_000))
      .map(([count, unit]) => count * unit),
  }),
  fc.record({
    kind: fc.constant("body" as const),
    path: fc.array(fc.string({ unit: "grapheme", maxLength: 8 }), { minLength: 1, maxLength: 4 }),
    value: fc.string({ unit: "grapheme", maxLength: 20 }),
    not,
  }),
  fc.record({ kind: fc.constant("text" as const), text: text.map((some) => `${some}a`), not }),
);

test("what is printed is read as it was", () => {
  fc.assert(
    fc.property(fc.array(term, { maxLength: 6 }), (terms) => {
      const printed = printQuery(terms);
      fc.pre(printed.length <= 2_000);
      expect(termsOf(printed)).toEqual(terms);
    }),
    { numRuns: 2_000 },
  );
});

const words = fc
  .array(fc.oneof(fc.constantFrom(...'type: age < > = . " \\ - * state:dead data.x='.split(" "), " "), fc.string()))
  .map((parts) => parts.join(""));

test("no text makes the parser throw, and what it accepts has one canonical form", () => {
  fc.assert(
    fc.property(words, (query) => {
      const parsed = parseQuery(query);
      if (parsed.ok) {
        const printed = printQuery(parsed.terms);
        expect(termsOf(printed)).toEqual(parsed.terms);
        expect(printQuery(termsOf(printed))).toBe(printed);
        expect(parsed.places).toHaveLength(parsed.terms.length);
      } else {
        expect(parsed.errors.length).toBeGreaterThan(0);
        for (const { from, to, message } of parsed.errors) {
          expect(from >= 0 && from <= to && to <= query.length && message !== "").toBe(true);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

const known = {
  type: ["message.received", "message.sent", "contact.created"],
  handler: ["inbox", "two words"],
  paths: ["data.contactId", "data.body"],
};

test.each([
  ["", 0, "type:"],
  ["sta", 3, "state:,status:"],
  ["-sta", 4, "-state:,-status:"],
  ["a", 1, "age<,age>,after:"],
  ["-a", 2, ""],
  ["type:mes", 8, "type:message.*,type:message.received,type:message.sent"],
  ["state:d x", 7, "state:dead"],
  ["x -status:", 10, "-status:pending,-status:processed,-status:quarantined"],
  ["handler:", 8, 'handler:inbox,handler:"two words"'],
  ["data.c", 6, "data.contactId="],
  ["age<2", 5, "age<2h,age<24h"],
  ['"free ', 6, ""],
  ["id:", 3, ""],
])("in %j at %i may stand %j", (query, cursor, expected) => {
  const { options } = completeQuery(query, cursor, known);
  const found = options.map(({ insert }) => insert);
  expect(expected === "type:" ? found[0] : found.join(",")).toBe(expected);
});

test("a completion replaces the word at the cursor and nothing else", () => {
  expect(completeQuery("refund sta age<2h", 10, known)).toMatchObject({ from: 7, to: 10 });
  expect(completeQuery("refund  age<2h", 7, known)).toMatchObject({ from: 7, to: 7 });
});

test("no position makes completion throw", () => {
  fc.assert(
    fc.property(words, fc.nat(40), (query, cursor) => {
      const { from, to } = completeQuery(query, Math.min(cursor, query.length), known);
      expect(from >= 0 && from <= to && to <= query.length).toBe(true);
    }),
  );
});

test("a histogram's choice takes the place of every time that was asked for", () => {
  const terms = termsOf("type:x age<2h after:2026-01-01");
  expect(printQuery(setTime(terms, { after: new Date("2026-03-01T00:00:00Z") }))).toBe(
    "type:x after:2026-03-01T00:00Z",
  );
  const now = Date.parse("2026-01-01T01:00:00Z");
  expect(timesOf(terms, now)).toEqual({ since: new Date("2026-01-01T00:00:00Z"), until: null });
  expect(timesOf(termsOf("age>30m before:2026-01-02"), now).until).toEqual(new Date("2026-01-01T00:30:00Z"));
});

const body = Buffer.from(
  '{"id":9007199254740993,"data":{"contactId":"cnt_1","note":"Refund\\nthe caf\\u00e9","tags":["a","vip"],"items":[{"sku":"s1"},{"sku":"s2"}],"amount":1.50,"paid":true,"at":null}}',
);

test.each([
  ["data.contactId=cnt_1", true],
  ["data.contactId=cnt_2", false],
  ["data.contactId=CNT_1", false],
  ['"id"=9007199254740993', true],
  ["data.amount=1.5", true],
  ["data.amount=1.50", true],
  ["data.paid=true", true],
  ["data.at=null", true],
  ["data.missing=undefined", false],
  ["data.tags=vip", true],
  ["data.tags.0=a", true],
  ["data.tags.1=a", false],
  ["data.items.sku=s2", true],
  ["data.items.0.sku=s2", false],
  ["data=cnt_1", false],
  ["constructor=x", false],
  ["refund", true],
  ["REFUND", true],
  ["refun", false],
  ["café", true],
  ["cnt_1", true],
  ["cnt", false],
  ['"refund\nthe"', true],
  ["-refund", false],
  ["-nothing data.tags=vip", true],
])("a body is found by %s: %s", (query, expected) => {
  expect(matchBody(body, termsOf(query) as (BodyTerm | TextTerm)[])).toBe(expected);
});

test("a body that is no JSON is found by its words, and has no values", () => {
  const terms = (query: string) => termsOf(query) as (BodyTerm | TextTerm)[];
  expect(matchBody(Buffer.from("a=1&b=two"), terms("two"))).toBe(true);
  expect(matchBody(Buffer.from("a=1&b=two"), terms("b=two"))).toBe(false);
});

test("a body nested without end is searched", () => {
  const deep = Buffer.from(`${"[".repeat(5_000)}"end"${"]".repeat(5_000)}`);
  expect(matchBody(deep, termsOf("end") as TextTerm[])).toBe(true);
});
