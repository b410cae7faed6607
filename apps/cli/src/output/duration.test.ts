import { expect, test } from "vitest";
import { formatAge, formatDuration } from "./duration.ts";

test.each([
  [-5_000, "0 s"],
  [999, "0 s"],
  [59_999, "59 s"],
  [60_000, "1 min"],
  [3_599_999, "59 min"],
  [86_399_999, "23 h"],
  [400 * 86_400_000, "400 d"],
])("an age of %i ms is %s", (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test.each([
  [0.44, "0.4 ms"],
  [8, "8 ms"],
  [38.4, "38 ms"],
  [1_500, "1.5 s"],
  [61_000, "61 s"],
])("a duration of %d ms is %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
