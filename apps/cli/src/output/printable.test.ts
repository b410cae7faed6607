import { expect, test } from "vitest";
import { toJsonLine } from "./json-line.ts";
import { printable } from "./printable.ts";

test.each([
  ["a colour", "\u001b[31mred", "\\u001b[31mred"],
  ["a window title", "\u001b]0;owned\u0007", "\\u001b]0;owned\\u0007"],
  ["an eight-bit control character", "\u009b31m", "\\u009b31m"],
  ["lines", "a\r\nb\tc", "a\\r\\nb\\tc"],
  ["a reversed file name", "exe.\u202efdp", "exe.\\u202efdp"],
  ["half a character", "a\ud83d", "a\\ud83d"],
  ["a NUL", "a\u0000b", "a\\u0000b"],
])("%s is written out and not obeyed", (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("text that is only text stays as it is", () => {
  const text = "Salut Amira, ça va ? 👩‍👩‍👧 שלום 你好";
  expect(printable(text)).toBe(text);
});

test("a body keeps its lines and nothing else that moves the cursor", () => {
  expect(printable("a\n\tb\r\u001b[2J", { keepLines: true })).toBe("a\n\tb\\r\\u001b[2J");
});

test("a JSON line holds no control character and means the same", () => {
  const value = { text: "\u001b[31m \u007f \u009b \u2028 \n \u202e \ud83d 👩‍👧" };
  const line = toJsonLine(value);
  expect(line).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
  expect(JSON.parse(line)).toEqual(value);
});
