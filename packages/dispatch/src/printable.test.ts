import { expect, test } from "vitest";
import { printable } from "./printable.ts";

test.each([
  ['plain {"a": 1}', 'plain {"a": 1}'],
  ["a\0b\u001b[31mc\u007f\u0085", "a\\u0000b\\u001b[31mc\\u007f\\u0085"],
  ["a\r\n\tb", "a\\r\\n\\tb"],
  ["\u202eabc\u200b\u2028", "\\u202eabc\\u200b\\u2028"],
  ["\ud83d", "\\ud83d"],
  ["héllo 👋", "héllo 👋"],
])("%j", (text, expected) => {
  expect(printable(text, 100)).toBe(expected);
});

test.each([
  ["x".repeat(50), "x".repeat(10)],
  ["\0".repeat(50), "\\u0000"],
  ["\0aaa\0", "\\u0000aaa"],
  ["aaaaaaaaa👋", "aaaaaaaaa"],
  ["\0aaa👋", "\\u0000aaa"],
  ["aaaaaaaaa\n", "aaaaaaaaa"],
])("%j is cut at ten characters, and not within one", (text, expected) => {
  expect(printable(text, 10)).toBe(expected);
});
