import { expect, test } from "vitest";
import { formatBody } from "./body-text.ts";
import { indentJson } from "./indent-json.ts";

test("JSON is indented as JSON.stringify would", () => {
  const value = { a: [], b: {}, c: [1, { d: null }], "e,{": 'x"\\,:' };
  expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
});

test("what JSON.parse would lose is kept: long numbers, repeated keys, escapes", () => {
  expect(indentJson('{"n":12345678901234567890,"n":1e400,"s":"\\u0041"}')).toBe(
    '{\n  "n": 12345678901234567890,\n  "n": 1e400,\n  "s": "\\u0041"\n}',
  );
});

test.each(["", "{", "[1,]", "hello"])("%j is not JSON", (text) => {
  expect(indentJson(text)).toBeNull();
});

test("a body of a hundred thousand brackets does not grow beyond measure", () => {
  const deep = "[".repeat(50_000) + "]".repeat(50_000);
  expect(indentJson(deep)?.length).toBeLessThan(100_000 * 70);
});

test.each([
  ["nothing", Buffer.from(""), "(empty)"],
  ["text", Buffer.from("hello\nyou \u001b[2J"), "hello\nyou \\u001b[2J"],
  ["a byte order mark", Buffer.from("\ufeff{}"), "\\ufeff{}"],
  ["bytes", Buffer.from([0xff, 0x1b, 0x41]), `000000  ${"ff 1b 41".padEnd(47)}  ..A`],
])("a body of %s is shown without anything raw", (_, body, shown) => {
  expect(formatBody(body)).toBe(shown);
});

test("of a long binary body the rest is counted", () => {
  const lines = formatBody(Buffer.alloc(1_040, 0xff)).split("\n");
  expect(lines).toHaveLength(65);
  expect(lines.at(-1)).toContain("16 more bytes");
});
